"""What computes the parts of a run: a worker process on this machine, or one on each node of a Ray cluster."""
