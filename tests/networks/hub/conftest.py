"""Settings of the tests that run PyTorch."""

import torch

# The networks are too small for two threads, which wait for each other while other processes compute.
torch.set_num_threads(1)
