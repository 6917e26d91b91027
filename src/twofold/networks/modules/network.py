"""A network while it learns: pixels -> vector -> logit, with its preprocessing inside."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twofold.networks.architectures import Triple

Floats = NDArray[np.float32]
Seen = tuple[Tensor, Tensor | None]
"""vector (n, d), and the map before its pooling, (n, c, h, w), where there is one."""


class Network(nn.Module):
    """`body` maps normalised pixels (n, 3, h, w) to `Seen`; `head` is the unit that gives the logit of the standardised vector.

    `centre` and `spread`, (d,), standardise: 0 and 1, unless a head that was fitted on vectors begins.
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

    def seen(self, pixels: Tensor) -> Seen:
        """Vector and features of RGB pixels, float (n, 3, h, w) on a scale of 0 to 255."""
        seen: Seen = self.body((pixels - self.mean) / self.std)
        return seen

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, (n,)."""
        features = (self.seen(pixels)[0] - self.feature_mean) / self.feature_std
        logits: Tensor = self.head(self.dropout(features))
        return logits[:, 0]

    def start_with(self, weights: Floats, bias: float, mean: Floats, std: Floats) -> None:
        """Replaces the random head by logit = features @ weights + bias, on features standardised by mean and std, all (d,)."""
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_std.copy_(torch.from_numpy(std))
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights * std))
            self.head.bias.fill_(bias + float(weights @ mean))

    def affine(self) -> tuple[Floats, float]:
        """Weights (d,) and bias of the head, with the standardisation multiplied in: from raw features to the logit."""
        weights = (self.head.weight[0] / self.feature_std).detach()
        bias = self.head.bias.detach() - weights @ self.feature_mean
        return weights.cpu().numpy().astype(np.float32), float(bias)
