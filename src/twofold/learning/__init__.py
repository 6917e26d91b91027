"""Training of networks, from scratch or by fine-tuning. PyTorch is imported by the modules, not by this package."""
