"""One thread for all tests of learning."""

import torch

# The networks are too small for two threads, which would wait for each other while other tests run.
torch.set_num_threads(1)
