"""Near duplicates of photographs, made on purpose, and which photograph a path shows."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from twofold.data import ReadError, open_image, read_bytes

COUNT, QUALITY = 500, 90
MARK = "(c) SAMPLE PHOTO"

# Photographs that the collection has twice, seen by eye: each is told by the smaller number.
TWINS = {"dog.180": "dog.74", "dog.6058": "dog.10"}

Pair = tuple[Path, Path]


def photograph(path: Path) -> str:
    """Class and number of what the path shows, as `cat.12`: of cats/cat.12.jpg, Cat/12.jpg and cat/cat.12-half.jpg alike."""
    kind, number = re.findall(r"(cat|dog)[/.](\d+)", "/".join(path.parts[-2:]).lower())[-1]
    name = f"{kind}.{number}"
    return TWINS.get(name, name)


def change(path: Path) -> str:
    """How a planted image was changed: a key of CHANGES, empty for an original."""
    return path.stem.partition("-")[2]


def same(pair: Pair) -> bool:
    return photograph(pair[0]) == photograph(pair[1])


def _crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = image.size
    x, y = round(width / 10), round(height / 10)
    boxes = (x, 0, width, height), (0, y, width, height), (0, 0, width - x, height), (0, 0, width, height - y)
    return image.crop(boxes[random.integers(len(boxes))])


def _mark(image: Image.Image) -> Image.Image:
    """White letters across the middle, over four fifths of the width."""
    marked = image.copy()
    size = 0.8 * image.width / ImageFont.load_default(size=100).getlength(MARK) * 100
    middle = image.width / 2, image.height / 2
    ImageDraw.Draw(marked).text(middle, MARK, "white", ImageFont.load_default(size=size), anchor="mm")
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
    """Draws COUNT of the photographs and writes a copy of each for every change, into a sub-folder a class; once."""
    if folder.exists():
        return
    random, begun = np.random.default_rng(0), folder.with_name(f"{folder.name}-begun")
    files = sorted(originals.glob("*/*.jpg"))
    for file in (files[number] for number in random.choice(len(files), COUNT, replace=False)):
        target = begun / file.name.partition(".")[0]
        target.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        for name, made in CHANGES.items():
            quality = 30 if name == "quality30" else QUALITY
            made(image, random).save(target / f"{file.stem}-{name}.jpg", quality=quality)
    begun.rename(folder)


def named(images: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Each with the class that its name begins with."""
    yield from ((image, image.name.partition(".")[0]) for image in images)


def write_list(file: Path, images: Iterable[tuple[Path, str]]) -> Path:
    """A list of images and labels, for DATA; the file."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(("path", "label"))
        rows.writerows(images)
    return file


def draw_sheet(pairs: Iterable[Pair], file: Path, *, side: int = 200, across: int = 3, most: int = 60) -> None:
    """The first pairs side by side, with the ends of their paths, as one image for the eye; nothing for no pairs."""
    shown = list(pairs)[:most]
    if not shown:
        return
    row = side + 16
    sheet = Image.new("RGB", (across * (2 * side + 10), -(-len(shown) // across) * row), "white")
    for number, pair in enumerate(shown):
        left, top = number % across * (2 * side + 10), number // across * row
        for place, path in enumerate(pair):
            seen = open_image(read_bytes(path))
            assert not isinstance(seen, ReadError), path
            sheet.paste(Image.fromarray(seen).resize((side, side)), (left + place * side, top))
            ImageDraw.Draw(sheet).text((left + place * side, top + side), "/".join(path.parts[-2:])[-34:], "black")
    sheet.save(file)
