"""Pictures as they might also have been taken: one affine warp a batch, then light and colour."""

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from kornia.geometry.transform import get_affine_matrix2d
from torch import Tensor
from torch.nn import functional

_GREY: Final = (0.299, 0.587, 0.114)  # of R G B: the luma of ITU-R BT.601, as Pillow has it

_NAMES: Final = (
    *("flip", "upside_down", "quarter", "turn", "zoom", "stretch", "across", "down"),
    *("light", "contrast", "saturation"),
)
DRAWS: Final = len(_NAMES)
"""Numbers in [0, 1) that a picture needs."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a training picture; each amount is the most of it, and with the defaults nothing happens.

    In this order: shift, turns, zoom, stretch, flips (in one warp, which sees a picture mirrored beyond its edges), then
    saturation, contrast, light. Turns go both ways, so that flips might as well come first.
    """

    flip: bool = False  # left and right, for every other picture
    upside_down: bool = False
    quarter_turns: bool = False
    turn: float = 0.0  # share of a full turn, both ways
    zoom: tuple[float, float] = (1.0, 1.0)  # share of the side that is seen: below 1 is closer
    stretch: float = (
        0.0  # how much longer one side of what is seen gets than the other, log-uniform: 0.25 is 4:5 to 5:4
    )
    shift: float = 0.0  # share of what zooming in leaves free: with 1, what is seen lies anywhere in the picture
    light: float = 0.0  # 0.2: times 0.8 to 1.2
    contrast: float = 0.0  # the same, about the picture's mean
    saturation: float = 0.0  # the same, about each pixel's grey

    def scaled(self, strength: float) -> "Augmentation":
        """The same with every amount times `strength`: 0 is nothing, 1 as it is. Flips and quarter turns are there or not."""
        low, high = self.zoom
        amounts = ("turn", "stretch", "shift", "light", "contrast", "saturation")
        return replace(
            self,
            flip=self.flip and strength > 0,
            upside_down=self.upside_down and strength > 0,
            quarter_turns=self.quarter_turns and strength > 0,
            zoom=(1 + (low - 1) * strength, 1 + (high - 1) * strength),
            **{name: getattr(self, name) * strength for name in amounts},
        )

    def __call__(self, pixels: Tensor, draws: Tensor, size: int) -> Tensor:
        """The pixels, float (n, 3, h, h) on a scale of 0 to 255, changed, as (n, 3, size, size).

        All chance is in `draws`, (n, DRAWS) in [0, 1), so that what becomes of a picture does not depend on its batch.
        """
        pixels = resized(pixels, size)
        drawn = dict(zip(_NAMES, draws.to(pixels).unbind(1), strict=True))
        if self._warps:
            pixels = _warp(pixels, self._matrices(drawn))
        if self.light or self.contrast or self.saturation:
            pixels = self._coloured(pixels, drawn)
        return pixels

    @property
    def _warps(self) -> bool:
        still = (self.turn, self.stretch, self.shift) == (0, 0, 0) and self.zoom == (1, 1)
        return self.flip or self.upside_down or self.quarter_turns or not still

    def _matrices(self, drawn: dict[str, Tensor]) -> Tensor:
        """From a place in the result to one in the picture, (n, 2, 3); both span -1 to 1, x to the right, y down."""
        seen = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * drawn["zoom"]
        aspect = torch.exp(math.log1p(self.stretch) * _either(drawn["stretch"]) / 2)
        scale = torch.stack([seen * aspect, seen / aspect], 1)
        free = self.shift * (1 - scale).clamp(min=0)
        to = free * torch.stack([_either(drawn["across"]), _either(drawn["down"])], 1)
        mirrored = torch.stack(
            [
                _sign(drawn["flip"]) if self.flip else torch.ones_like(seen),
                _sign(drawn["upside_down"]) if self.upside_down else torch.ones_like(seen),
            ],
            1,
        )
        degrees = 360 * self.turn * _either(drawn["turn"])
        if self.quarter_turns:
            degrees = degrees + 90 * torch.floor(4 * drawn["quarter"])
        return get_affine_matrix2d(to, torch.zeros_like(to), scale * mirrored, degrees)[:, :2]

    def _coloured(self, pixels: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """All three at once: each mixes a picture with a grey of its own, and grey weights sum to 1."""
        light, contrast, saturation = (
            (1 + amount * _either(drawn[name]))[:, None, None, None]
            for name, amount in (("light", self.light), ("contrast", self.contrast), ("saturation", self.saturation))
        )
        red, green, blue = pixels.unbind(1)
        grey = (red * _GREY[0] + green * _GREY[1] + blue * _GREY[2])[:, None]
        mean = grey.mean((2, 3), keepdim=True)
        added = grey * (light * contrast * (1 - saturation)) + mean * (light * (1 - contrast))
        return (pixels * (light * contrast * saturation) + added).clamp_(0, 255)


def resized(pixels: Tensor, size: int) -> Tensor:
    """The pixels (n, 3, h, h) as (n, 3, size, size): averaged when that is smaller; as they are when it is h."""
    if pixels.shape[-1] == size:
        return pixels
    return functional.interpolate(
        pixels, (size, size), mode="bilinear", align_corners=False, antialias=size < pixels.shape[-1]
    )


def _either(drawn: Tensor) -> Tensor:
    return 2 * drawn - 1


def _sign(drawn: Tensor) -> Tensor:
    return torch.where(drawn < 0.5, -1.0, 1.0).to(drawn)


def _warp(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Each picture (n, 3, s, s) seen through its matrix (n, 2, 3).

    Sampled by hand: kornia's warp_affine took 140 ms where this takes 24 (128 pictures of 96 x 96, two cores), most of it for
    the grid, which is a sum of a row and a column. Corners are not aligned, so that 'reflection' doubles the edge as Keras does.
    """
    side = pixels.shape[-1]
    centres = (torch.arange(side, device=pixels.device, dtype=pixels.dtype) * 2 + 1) / side - 1
    across = centres[:, None] * matrices[:, None, :, 0]  # (n, s, 2)
    down = centres[:, None] * matrices[:, None, :, 1] + matrices[:, None, :, 2]
    return functional.grid_sample(
        pixels, across[:, None] + down[:, :, None], padding_mode="reflection", align_corners=False
    )
