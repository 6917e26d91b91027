"""A network while it learns: pixels -> vector -> logit, with its preprocessing inside."""

import torch
from torch import Tensor, nn

Triple = tuple[float, float, float]
Seen = tuple[Tensor, Tensor | None]
"""vector (n, d), and the map before its pooling, (n, c, h, w), where there is one."""


class Network(nn.Module):
    """`body` maps normalised pixels (n, 3, h, w) to `Seen`; `head` is the unit that gives the logit."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, width: int, mean: Triple, std: Triple) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 1)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def seen(self, pixels: Tensor) -> Seen:
        """Vector and features of RGB pixels, float (n, 3, h, w) on a scale of 0 to 255."""
        seen: Seen = self.body((pixels - self.mean) / self.std)
        return seen

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, (n,)."""
        logits: Tensor = self.head(self.seen(pixels)[0])
        return logits[:, 0]
