"""A trainable network: pixels -> features -> logit, with the normalisation of the pixels inside."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twofold.networks.architectures import Triple

Floats = NDArray[np.float32]
BodyOutput = tuple[Tensor, Tensor | None]
"""Features, (n, d), and the feature map before the pooling, (n, c, h, w), or None where the body has no map."""


class Network(nn.Module):
    """`body` maps normalised pixels, (n, 3, h, w), to `BodyOutput`; `head` maps standardised features to the logit.

    `feature_mean` and `feature_std`, (d,), standardise the features. They are 0 and 1 until `set_head` sets them.
    """

    mean: Tensor
    std: Tensor
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, body: nn.Module, width: int, mean: Triple, std: Triple, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.register_buffer("feature_mean", torch.zeros(width))
        self.register_buffer("feature_std", torch.ones(width))

    def embed(self, pixels: Tensor) -> BodyOutput:
        """Features and feature map of RGB pixels, float (n, 3, h, w) from 0 to 255."""
        output: BodyOutput = self.body((pixels - self.mean) / self.std)
        return output

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, (n,)."""
        features = (self.embed(pixels)[0] - self.feature_mean) / self.feature_std
        logits: Tensor = self.head(self.dropout(features))
        return logits[:, 0]

    def set_head(self, weights: Floats, bias: float, mean: Floats, std: Floats) -> None:
        """Sets the head to logit = features @ weights + bias, and standardises the features by mean and std, all (d,)."""
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_std.copy_(torch.from_numpy(std))
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights * std))
            self.head.bias.fill_(bias + float(weights @ mean))

    def fold_head(self) -> tuple[Floats, float]:
        """Weights, (d,), and bias of the head for raw features: the standardisation is folded in."""
        weights = (self.head.weight[0] / self.feature_std).detach()
        bias = self.head.bias.detach() - weights @ self.feature_mean
        return weights.cpu().numpy().astype(np.float32), float(bias)
