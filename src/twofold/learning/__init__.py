"""Learning a network, from scratch or from one that is trained already; what is learned becomes a backbone.

PyTorch is imported by the modules in here, not by this one.
"""
