"""What the tests of learning share."""

import torch

torch.set_num_threads(
    1
)  # their networks are too small for two threads, which wait for each other where others compute, too
