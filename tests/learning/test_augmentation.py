"""Augmentation against SciPy, Pillow and what can be reckoned by hand."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy import ndimage
from torch import Tensor

from twofold.learning.augmentation import DRAWS, Augmentation, resized

NAMES = (
    *("flip", "upside_down", "quarter", "turn", "zoom", "stretch", "across", "down"),
    *("light", "contrast", "saturation"),
)
MOST = 1 - 2**-24  # the largest number that is drawn
EVERYTHING = Augmentation(True, True, True, 0.1, (0.6, 1.2), 0.3, 1.0, 0.2, 0.3, 0.4)


def draws(count: int = 1, **drawn: float) -> Tensor:
    """0.5 each, by which amounts that go both ways do nothing, but for those named."""
    table = torch.full((count, DRAWS), 0.5)
    for name, value in drawn.items():
        table[:, NAMES.index(name)] = value
    return table


def chance(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


def smooth(side: int = 64) -> Tensor:
    """A picture of a few waves, without an axis of symmetry, (1, 3, side, side)."""
    y, x = np.mgrid[:side, :side] / side * 2 * math.pi
    waves = [np.sin(x + 0.7) * np.cos(y * 0.8), np.cos(x * 1.3 + y), np.sin(x * 0.6 - y * 1.1 + 0.3)]
    return torch.tensor(128 + 90 * np.stack(waves), dtype=torch.float32)[None]


def noise(count: int = 1, side: int = 32, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    return torch.tensor(random.integers(0, 256, (count, 3, side, side)), dtype=torch.float32)


def array(pixels: Tensor) -> NDArray[np.float32]:
    return pixels[0].numpy()


def image(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels[0].permute(1, 2, 0).round().to(torch.uint8).numpy())


def inside(pixels: Tensor | NDArray[np.float32], fraction: float) -> NDArray[np.float32]:
    """The middle of a picture, where nothing is seen from beyond its edges."""
    edge = round(pixels.shape[-1] * (1 - fraction) / 2)
    return np.asarray(pixels)[..., edge:-edge, edge:-edge]


def test_nothing_is_touched_where_nothing_is_asked_for() -> None:
    pixels = noise()
    assert Augmentation()(pixels, chance(1), 32) is pixels
    assert EVERYTHING.scaled(0)(pixels, chance(1), 32) is pixels


@pytest.mark.parametrize(
    ("augmentation", "drawn", "axes"),
    [(Augmentation(flip=True), "flip", (-1,)), (Augmentation(upside_down=True), "upside_down", (-2,))],
)
def test_a_flip_is_exact(augmentation: Augmentation, drawn: str, axes: tuple[int, ...]) -> None:
    pixels = noise()
    assert torch.equal(augmentation(pixels, draws(**{drawn: 0.2}), 32).round(), pixels.flip(axes))
    assert torch.equal(augmentation(pixels, draws(**{drawn: 0.8}), 32).round(), pixels)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    pixels = noise()
    turned = Augmentation(quarter_turns=True)(pixels, draws(quarter=quarters / 4 + 0.1), 32)
    assert torch.equal(turned.round(), pixels.rot90(quarters, (-2, -1)))


@pytest.mark.parametrize(("drawn", "degrees"), [(0.0, -36), (0.25, -18), (MOST, 36)])
def test_a_turn_is_that_of_scipy_with_mirrored_edges(drawn: float, degrees: float) -> None:
    pixels = smooth()
    turned = array(Augmentation(turn=0.1)(pixels, draws(turn=drawn), 64))
    expected = ndimage.rotate(array(pixels), degrees, (-2, -1), reshape=False, order=1, mode="reflect")
    assert np.abs(turned - expected).max() < 0.05


def test_a_turn_is_that_of_pillow() -> None:
    pixels = smooth()
    turned = Augmentation(turn=0.1)(pixels, draws(turn=MOST), 64)
    expected = np.asarray(image(pixels).rotate(36, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(inside(array(turned), 0.7) - inside(expected, 0.7)).max() < 2


@pytest.mark.parametrize(("drawn", "scale"), [(0.0, 0.9), (0.5, 1.0), (MOST, 1.1)])
def test_a_zoom_is_what_can_be_reckoned_on_a_ramp(drawn: float, scale: float) -> None:
    ramp = torch.arange(64.0).expand(1, 3, 64, 64)
    seen = Augmentation(zoom=(0.9, 1.1))(ramp, draws(zoom=drawn), 64)
    expected = 31.5 + scale * (ramp - 31.5)
    assert np.abs(inside(seen - expected, 0.8)).max() < 1e-3


def test_zooming_out_shows_the_picture_mirrored_with_its_edge_doubled() -> None:
    row = torch.tensor([10.0, 20, 30, 40]).expand(1, 3, 4, 4)
    seen = Augmentation(zoom=(2, 2))(row, draws(), 4)
    # Each lies between two pixels of 20 10 | 10 20 30 40 | 40 30.
    assert seen[0, 0, 0].tolist() == pytest.approx([15, 15, 35, 35])


def test_a_stretch_keeps_the_area_and_changes_the_aspect() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    places = torch.stack([x, y, x])[None]
    seen = inside(Augmentation(stretch=0.21)(places, draws(stretch=MOST), 64), 0.5)
    across, down = seen[0, 0, 0, 1] - seen[0, 0, 0, 0], seen[0, 1, 1, 0] - seen[0, 1, 0, 0]
    assert (across, down) == (pytest.approx(1.1, abs=1e-4), pytest.approx(1 / 1.1, abs=1e-4))


@pytest.mark.parametrize(("across", "down"), [(0.0, 0.0), (MOST, 0.0), (0.5, MOST)])
def test_what_is_seen_closer_lies_anywhere_in_the_picture(across: float, down: float) -> None:
    pixels = noise(side=32)
    seen = Augmentation(zoom=(0.5, 0.5), shift=1.0)(pixels, draws(across=across, down=down), 32)
    left, top = round(across * 16), round(down * 16)
    part = pixels[..., top : top + 16, left : left + 16]
    expected = torch.nn.functional.interpolate(part, scale_factor=2, mode="bilinear", align_corners=False)
    assert np.abs(inside(seen - expected, 0.9)).max() < 0.01


def test_one_warp_is_one_step_after_the_other() -> None:
    whole = Augmentation(True, True, True, 0.1, (0.7, 0.9), 0.2, 1.0)
    steps = [
        # What is free depends on zoom and stretch: all three are drawn in the middle, which leaves 0.2.
        Augmentation(zoom=(0.8, 0.8), shift=1.0),
        Augmentation(zoom=(1.25, 1.25)),  # back to the whole picture, which was shifted
        Augmentation(quarter_turns=True),
        Augmentation(turn=0.1),
        Augmentation(zoom=(0.7, 0.9), stretch=0.2),
        Augmentation(flip=True),
        Augmentation(upside_down=True),
    ]
    drawn = draws(flip=0.1, upside_down=0.1, quarter=0.3, turn=0.9, zoom=0.5, across=0.8, down=0.3)
    pixels = smooth(128)
    after = pixels
    for step in steps:
        after = step(after, drawn, 128)
    assert np.abs(inside(whole(pixels, drawn, 128) - after, 0.5)).max() < 1


def test_the_classic_recipe_is_what_keras_does_layer_by_layer() -> None:
    """RandomFlip, RandomRotation(0.1), RandomZoom(0.1), each with its own interpolation and fill 'reflect', by SciPy."""
    pixels, drawn = smooth(96), draws(flip=0.1, turn=0.95, zoom=0.2)
    seen = array(Augmentation(flip=True, turn=0.1, zoom=(0.9, 1.1))(pixels, drawn, 96))
    flipped = array(pixels)[..., ::-1]
    turned = ndimage.rotate(flipped, -0.9 * 36, (-2, -1), reshape=False, order=1, mode="reflect")
    centre, scale = np.array([0, 47.5, 47.5]), np.array([1, 0.94, 0.94])
    zoomed = ndimage.affine_transform(turned, scale, centre - scale * centre, order=1, mode="reflect")
    assert np.abs(inside(seen - zoomed, 0.5)).max() < 0.5
    assert np.abs(seen - zoomed).max() < 2  # along the edge, mirrored pixels are interpolated once or twice


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_becomes_of_a_picture_does_not_depend_on_its_batch(count: int) -> None:
    pixels, drawn = noise(9, 48), chance(9)
    whole = EVERYTHING(pixels, drawn, 40)
    assert torch.equal(EVERYTHING(pixels[-count:], drawn[-count:], 40), whole[-count:])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(EVERYTHING(pixels[order], drawn[order], 40), whole[order])


def test_memory_order_makes_no_difference() -> None:
    pixels, drawn = noise(3), chance(3)
    last = pixels.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(EVERYTHING(pixels, drawn, 32), EVERYTHING(last, drawn, 32), atol=1e-3)


@pytest.mark.parametrize("drawn", [0.0, 0.3, MOST])
def test_light_contrast_and_saturation_are_those_of_pillow(drawn: float) -> None:
    pixels = noise()
    factor = 1 + 0.4 * (2 * drawn - 1)
    for name, enhance in (
        ("light", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        seen = Augmentation(**{name: 0.4})(pixels, draws(**{name: drawn}), 32)
        expected = np.asarray(enhance(image(pixels)).enhance(factor)).transpose(2, 0, 1)
        assert np.abs(array(seen) - expected).max() <= 1.6, name  # Pillow rounds the grey, and the result


def test_pixels_stay_pixels() -> None:
    seen = EVERYTHING(noise(50), chance(50), 32)
    assert seen.shape == (50, 3, 32, 32)
    assert seen.min() >= 0
    assert seen.max() <= 255


def test_strength_scales_every_amount() -> None:
    half = EVERYTHING.scaled(0.5)
    assert half == Augmentation(True, True, True, 0.05, (0.8, 1.1), pytest.approx(0.15), 0.5, 0.1, 0.15, 0.2)
    assert EVERYTHING.scaled(1) == EVERYTHING


@pytest.mark.parametrize(("side", "size"), [(96, 48), (96, 64)])
def test_smaller_pictures_are_averaged_as_pillow_does(side: int, size: int) -> None:
    pixels = noise(side=side)
    expected = np.asarray(image(pixels).resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(array(resized(pixels, size)) - expected).max() < 1.5
    assert Augmentation(flip=True)(pixels, draws(), size).shape[-2:] == (size, size)
