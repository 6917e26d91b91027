"""Learning a network, from scratch or from one that is trained already; what is learned becomes a backbone."""
