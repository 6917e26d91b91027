"""Augmentation against SciPy, Pillow and values computed by hand."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy import ndimage
from torch import Tensor

from twofold.learning.augmentation import DRAWS, Augmentation, resize

NAMES = (
    *("horizontal_flip", "vertical_flip", "quarter_turn", "rotation", "zoom", "aspect_ratio", "shift_x", "shift_y"),
    *("brightness", "contrast", "saturation"),
)
MAXIMUM = 1 - 2**-24  # the largest number that is drawn
ALL_CHANGES = Augmentation(True, True, True, 0.1, (0.6, 1.2), 0.3, 1.0, 0.2, 0.3, 0.4)


def draws(count: int = 1, **values: float) -> Tensor:
    """0.5 for each that is not named, which changes nothing where the amount goes both ways."""
    table = torch.full((count, DRAWS), 0.5)
    for name, value in values.items():
        table[:, NAMES.index(name)] = value
    return table


def random_draws(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


def smooth(side: int = 64) -> Tensor:
    """An image of a few waves without an axis of symmetry, (1, 3, side, side)."""
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


def centre_of(pixels: Tensor | NDArray[np.float32], fraction: float) -> NDArray[np.float32]:
    """The centre of an image, without pixels from beyond its edges."""
    edge = round(pixels.shape[-1] * (1 - fraction) / 2)
    return np.asarray(pixels)[..., edge:-edge, edge:-edge]


def test_pixels_are_unchanged_without_augmentation() -> None:
    pixels = noise()
    assert Augmentation()(pixels, random_draws(1), 32) is pixels
    assert ALL_CHANGES.with_strength(0)(pixels, random_draws(1), 32) is pixels


@pytest.mark.parametrize(
    ("augmentation", "name", "axes"),
    [
        (Augmentation(horizontal_flip=True), "horizontal_flip", (-1,)),
        (Augmentation(vertical_flip=True), "vertical_flip", (-2,)),
    ],
)
def test_a_flip_is_exact(augmentation: Augmentation, name: str, axes: tuple[int, ...]) -> None:
    pixels = noise()
    assert torch.equal(augmentation(pixels, draws(**{name: 0.2}), 32).round(), pixels.flip(axes))
    assert torch.equal(augmentation(pixels, draws(**{name: 0.8}), 32).round(), pixels)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    pixels = noise()
    rotated = Augmentation(quarter_turns=True)(pixels, draws(quarter_turn=quarters / 4 + 0.1), 32)
    assert torch.equal(rotated.round(), pixels.rot90(quarters, (-2, -1)))


@pytest.mark.parametrize(("draw", "degrees"), [(0.0, -36), (0.25, -18), (MAXIMUM, 36)])
def test_a_rotation_equals_scipys_with_mirrored_edges(draw: float, degrees: float) -> None:
    pixels = smooth()
    rotated = array(Augmentation(rotation=0.1)(pixels, draws(rotation=draw), 64))
    expected = ndimage.rotate(array(pixels), degrees, (-2, -1), reshape=False, order=1, mode="reflect")
    assert np.abs(rotated - expected).max() < 0.05


def test_a_rotation_equals_pillows() -> None:
    pixels = smooth()
    rotated = Augmentation(rotation=0.1)(pixels, draws(rotation=MAXIMUM), 64)
    expected = np.asarray(image(pixels).rotate(36, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(centre_of(array(rotated), 0.7) - centre_of(expected, 0.7)).max() < 2


@pytest.mark.parametrize(("draw", "scale"), [(0.0, 0.9), (0.5, 1.0), (MAXIMUM, 1.1)])
def test_a_zoom_scales_a_ramp_about_its_centre(draw: float, scale: float) -> None:
    ramp = torch.arange(64.0).expand(1, 3, 64, 64)
    zoomed = Augmentation(zoom=(0.9, 1.1))(ramp, draws(zoom=draw), 64)
    expected = 31.5 + scale * (ramp - 31.5)
    assert np.abs(centre_of(zoomed - expected, 0.8)).max() < 1e-3


def test_zooming_out_mirrors_the_image_and_repeats_its_edge() -> None:
    row = torch.tensor([10.0, 20, 30, 40]).expand(1, 3, 4, 4)
    zoomed = Augmentation(zoom=(2, 2))(row, draws(), 4)
    # Each lies between two pixels of 20 10 | 10 20 30 40 | 40 30.
    assert zoomed[0, 0, 0].tolist() == pytest.approx([15, 15, 35, 35])


def test_another_aspect_ratio_keeps_the_area() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    coordinates = torch.stack([x, y, x])[None]
    result = centre_of(Augmentation(aspect_ratio=0.21)(coordinates, draws(aspect_ratio=MAXIMUM), 64), 0.5)
    step_x, step_y = result[0, 0, 0, 1] - result[0, 0, 0, 0], result[0, 1, 1, 0] - result[0, 1, 0, 0]
    assert (step_x, step_y) == (pytest.approx(1.1, abs=1e-4), pytest.approx(1 / 1.1, abs=1e-4))


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (MAXIMUM, 0.0), (0.5, MAXIMUM)])
def test_the_visible_area_lies_anywhere_in_the_image(x: float, y: float) -> None:
    pixels = noise(side=32)
    result = Augmentation(zoom=(0.5, 0.5), shift=1.0)(pixels, draws(shift_x=x, shift_y=y), 32)
    left, top = round(x * 16), round(y * 16)
    crop = pixels[..., top : top + 16, left : left + 16]
    expected = torch.nn.functional.interpolate(crop, scale_factor=2, mode="bilinear", align_corners=False)
    assert np.abs(centre_of(result - expected, 0.9)).max() < 0.01


def test_one_warp_equals_its_steps_in_order() -> None:
    warp = Augmentation(True, True, True, 0.1, (0.7, 0.9), 0.2, 1.0)
    steps = [
        # The margin depends on zoom and aspect ratio: both are drawn in the middle, which leaves 0.2.
        Augmentation(zoom=(0.8, 0.8), shift=1.0),
        Augmentation(zoom=(1.25, 1.25)),  # back to the full image, shifted
        Augmentation(quarter_turns=True),
        Augmentation(rotation=0.1),
        Augmentation(zoom=(0.7, 0.9), aspect_ratio=0.2),
        Augmentation(horizontal_flip=True),
        Augmentation(vertical_flip=True),
    ]
    table = draws(
        horizontal_flip=0.1, vertical_flip=0.1, quarter_turn=0.3, rotation=0.9, zoom=0.5, shift_x=0.8, shift_y=0.3
    )
    pixels = smooth(128)
    result = pixels
    for step in steps:
        result = step(result, table, 128)
    assert np.abs(centre_of(warp(pixels, table, 128) - result, 0.5)).max() < 1


def test_the_classic_recipe_equals_the_layers_of_keras() -> None:
    """RandomFlip, RandomRotation(0.1), RandomZoom(0.1), each with its own interpolation and fill 'reflect', by SciPy."""
    pixels, table = smooth(96), draws(horizontal_flip=0.1, rotation=0.95, zoom=0.2)
    result = array(Augmentation(horizontal_flip=True, rotation=0.1, zoom=(0.9, 1.1))(pixels, table, 96))
    mirror = array(pixels)[..., ::-1]
    rotated = ndimage.rotate(mirror, -0.9 * 36, (-2, -1), reshape=False, order=1, mode="reflect")
    centre, scale = np.array([0, 47.5, 47.5]), np.array([1, 0.94, 0.94])
    zoomed = ndimage.affine_transform(rotated, scale, centre - scale * centre, order=1, mode="reflect")
    assert np.abs(centre_of(result - zoomed, 0.5)).max() < 0.5
    assert np.abs(result - zoomed).max() < 2  # along the edge, mirrored pixels are interpolated once or twice


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_image_does_not_depend_on_its_batch(count: int) -> None:
    pixels, table = noise(9, 48), random_draws(9)
    expected = ALL_CHANGES(pixels, table, 40)
    assert torch.equal(ALL_CHANGES(pixels[-count:], table[-count:], 40), expected[-count:])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(ALL_CHANGES(pixels[order], table[order], 40), expected[order])


def test_memory_order_makes_no_difference() -> None:
    pixels, table = noise(3), random_draws(3)
    channels_last = pixels.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(ALL_CHANGES(pixels, table, 32), ALL_CHANGES(channels_last, table, 32), atol=1e-3)


@pytest.mark.parametrize("draw", [0.0, 0.3, MAXIMUM])
def test_brightness_contrast_and_saturation_equal_pillows(draw: float) -> None:
    pixels = noise()
    factor = 1 + 0.4 * (2 * draw - 1)
    for name, enhance in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        result = Augmentation(**{name: 0.4})(pixels, draws(**{name: draw}), 32)
        expected = np.asarray(enhance(image(pixels)).enhance(factor)).transpose(2, 0, 1)
        assert np.abs(array(result) - expected).max() <= 1.6, name  # Pillow rounds the grey, and the result


def test_pixels_stay_within_0_and_255() -> None:
    result = ALL_CHANGES(noise(50), random_draws(50), 32)
    assert result.shape == (50, 3, 32, 32)
    assert result.min() >= 0
    assert result.max() <= 255


def test_strength_scales_every_amount() -> None:
    half = ALL_CHANGES.with_strength(0.5)
    assert half == Augmentation(True, True, True, 0.05, (0.8, 1.1), pytest.approx(0.15), 0.5, 0.1, 0.15, 0.2)
    assert ALL_CHANGES.with_strength(1) == ALL_CHANGES


@pytest.mark.parametrize(("side", "size"), [(96, 48), (96, 64)])
def test_downscaling_is_antialiased_as_in_pillow(side: int, size: int) -> None:
    pixels = noise(side=side)
    expected = np.asarray(image(pixels).resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(array(resize(pixels, size)) - expected).max() < 1.5
    assert Augmentation(horizontal_flip=True)(pixels, draws(), size).shape[-2:] == (size, size)
