"""Images drawn with a fixed seed: two classes that a network can tell apart."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw(pattern: str, number: int, side: int = 64) -> Image.Image:
    """Picture `number` of a pattern: `bars` has upright stripes, `rings` has circles, on a noisy ground."""
    random = np.random.default_rng([sum(pattern.encode()), number])
    y, x = np.mgrid[:side, :side] - side / 2 + random.uniform(-6, 6, (2, 1, 1))
    wave = x if pattern == "bars" else np.hypot(x, y)
    waves = np.sin(wave * random.uniform(0.5, 0.9))[..., None] * random.uniform(40, 90, 3)
    pixels = 128 + waves + random.normal(0, 12, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_folder(folder: Path, count: int, start: int = 0, labels: tuple[str, str] = ("bars", "rings")) -> Path:
    """`folder` with a sub-folder for each label, `count` images each, numbered from `start`."""
    for label, pattern in zip(labels, ("bars", "rings"), strict=True):
        (folder / label).mkdir(parents=True)
        for number in range(start, start + count):
            draw(pattern, number).save(folder / label / f"{label}-{number:03}.png")
    return folder
