"""Planted near duplicates of photographs, and the name of the photograph at a path."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from twofold.data import ReadError, open_image, read_bytes

COUNT, QUALITY = 500, 90
MARK = "(c) SAMPLE PHOTO"

# Photographs that the collection contains twice, found by eye: both get the smaller number.
TWINS = {"dog.180": "dog.74", "dog.6058": "dog.10"}

Pair = tuple[Path, Path]


def photograph_name(path: Path) -> str:
    """Class and number, as `cat.12` for cats/cat.12.jpg, Cat/12.jpg and cat/cat.12-half.jpg."""
    label, number = re.findall(r"(cat|dog)[/.](\d+)", "/".join(path.parts[-2:]).lower())[-1]
    name = f"{label}.{number}"
    return TWINS.get(name, name)


def change_name(path: Path) -> str:
    """The change of a planted image, a key of CHANGES; empty for an original."""
    return path.stem.partition("-")[2]


def is_correct(pair: Pair) -> bool:
    return photograph_name(pair[0]) == photograph_name(pair[1])


def _crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = image.size
    x, y = round(width / 10), round(height / 10)
    boxes = (x, 0, width, height), (0, y, width, height), (0, 0, width - x, height), (0, 0, width, height - y)
    return image.crop(boxes[random.integers(len(boxes))])


def _mark(image: Image.Image) -> Image.Image:
    """White letters across the centre, over four fifths of the width."""
    marked = image.copy()
    size = 0.8 * image.width / ImageFont.load_default(size=100).getlength(MARK) * 100
    centre = image.width / 2, image.height / 2
    ImageDraw.Draw(marked).text(centre, MARK, "white", ImageFont.load_default(size=size), anchor="mm")
    return marked


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "half": lambda image, _: image.resize((image.width // 2, image.height // 2)),
    "quality30": lambda image, _: image,
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "cropped": _crop,
    "bright": lambda image, _: ImageEnhance.Brightness(image).enhance(1.25),
    "dark": lambda image, _: ImageEnhance.Brightness(image).enhance(0.75),
    "grey": lambda image, _: image.convert("L"),
    "watermark": lambda image, _: _mark(image),
    "rotated": lambda image, _: image.rotate(3, Image.Resampling.BICUBIC),  # the corners are black
}


def plant(originals: Path, folder: Path) -> None:
    """Writes a copy of COUNT random photographs for each change, into one sub-folder per class, unless the folder exists."""
    if folder.exists():
        return
    random, partial_folder = np.random.default_rng(0), folder.with_name(f"{folder.name}-partial")
    files = sorted(originals.glob("*/*.jpg"))
    for file in (files[number] for number in random.choice(len(files), COUNT, replace=False)):
        target = partial_folder / file.name.partition(".")[0]
        target.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as stored_image:
            image = stored_image.convert("RGB")
        for name, change in CHANGES.items():
            quality = 30 if name == "quality30" else QUALITY
            change(image, random).save(target / f"{file.stem}-{name}.jpg", quality=quality)
    partial_folder.rename(folder)


def label_by_name(images: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Each image with its class, the start of its file name."""
    yield from ((image, image.name.partition(".")[0]) for image in images)


def write_list(file: Path, images: Iterable[tuple[Path, str]]) -> Path:
    """Writes images and labels as a CSV file for DATA, and returns the file."""
    with file.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("path", "label"))
        rows.writerows(images)
    return file


def draw_sheet(pairs: Iterable[Pair], file: Path, *, side: int = 200, columns: int = 3, limit: int = 60) -> None:
    """Draws the first pairs side by side with the ends of their paths, as one image; nothing without pairs."""
    selection = list(pairs)[:limit]
    if not selection:
        return
    width, height = 2 * side + 10, side + 16
    sheet = Image.new("RGB", (columns * width, -(-len(selection) // columns) * height), "white")
    for number, pair in enumerate(selection):
        top = number // columns * height
        for position, path in enumerate(pair):
            left = number % columns * width + position * side
            pixels = open_image(read_bytes(path))
            assert not isinstance(pixels, ReadError), path
            sheet.paste(Image.fromarray(pixels).resize((side, side)), (left, top))
            ImageDraw.Draw(sheet).text((left, top + side), "/".join(path.parts[-2:])[-34:], "black")
    sheet.save(file)
