"""Thumbnails: small JPEG images, put together in sheets, so that a page holds a few images instead of hundreds."""

import io
from collections.abc import Hashable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar

import numpy as np
from PIL import Image

from twofold.core.parallel import available_processors
from twofold.data import ImageArray, IntensityRanges, Preprocessing, ReadError, preprocess
from twofold.embedding import Source, read_content

SIDE: Final = 128
"""Pixels of a thumbnail along each side."""
COLUMNS: Final = 10
"""Thumbnails in a row of a sheet."""
_ROWS: Final = 10  # of a full sheet
_QUALITY: Final = 70
MAX_BYTES: Final = 2_000_000
"""Bytes of all sheets of a page together; images beyond have no thumbnail."""
_GREY: Final = 128  # as beside images that are not square

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A JPEG file with `rows` rows of `COLUMNS` thumbnails."""

    jpeg: bytes = field(repr=False)
    rows: int


@dataclass(frozen=True, slots=True)
class Thumbnails(Generic[Key]):
    """Sheets, and the (sheet, cell) of each image that could be read. Cells of a sheet are counted from left to right."""

    sheets: tuple[Sheet, ...] = ()
    places: Mapping[Key, tuple[int, int]] = field(default_factory=dict, repr=False)

    def joined(self, other: Self) -> "Thumbnails[Key]":
        """These thumbnails, and behind them the sheets of others."""
        first = len(self.sheets)
        moved = {key: (first + sheet, cell) for key, (sheet, cell) in other.places.items()}
        return Thumbnails((*self.sheets, *other.sheets), {**self.places, **moved})

    def only(self, keys: Set[Key]) -> "Thumbnails[Key]":
        """The thumbnails of these images, with the sheets that any of them is on."""
        places = {key: place for key, place in self.places.items() if key in keys}
        numbers = {old: new for new, old in enumerate(sorted({sheet for sheet, _ in places.values()}))}
        sheets = tuple(self.sheets[number] for number in numbers)
        return Thumbnails(sheets, {key: (numbers[sheet], cell) for key, (sheet, cell) in places.items()})


def make_thumbnails(
    sources: Mapping[Key, Source], ranges: IntensityRanges, max_pixels: int, max_bytes: int = MAX_BYTES
) -> Thumbnails[Key]:
    """The thumbnails of images, in this order, as many as fit into `max_bytes`. Images that cannot be read have none."""

    def load(source: Source) -> ImageArray | None:
        return _thumbnail(source, ranges, max_pixels)

    with ThreadPoolExecutor(min(available_processors(), 4)) as pool:  # Pillow decodes without the interpreter's lock
        images = dict(zip(sources, pool.map(load, sources.values()), strict=True))
    usable = {key: image for key, image in images.items() if image is not None}
    return _within_budget(list(usable), list(usable.values()), max_bytes)


def _within_budget(keys: Sequence[Key], images: Sequence[ImageArray], max_bytes: int) -> Thumbnails[Key]:
    """The images in sheets, as many of these as fit into `max_bytes`."""
    size, sheets, total = COLUMNS * _ROWS, list[Sheet](), 0
    for start in range(0, len(images), size):
        sheet = _sheet(images[start : start + size])
        total += len(sheet.jpeg)
        if total > max_bytes:
            break
        sheets.append(sheet)
    places = {key: divmod(number, size) for number, key in enumerate(keys[: size * len(sheets)])}
    return Thumbnails(tuple(sheets), places)


def _thumbnail(source: Source, ranges: IntensityRanges, max_pixels: int) -> ImageArray | None:
    """(SIDE, SIDE, 3); the whole image, with grey beside it; None where it cannot be read."""
    content = read_content(source)
    if isinstance(content, ReadError):
        return None
    preprocessing = Preprocessing(SIDE, "pad", "bilinear").with_intensity_ranges(ranges)
    image = preprocess(content.source, preprocessing, max_pixels=max_pixels)
    return None if isinstance(image, ReadError) else image.model_inputs[0]


def _sheet(images: Sequence[ImageArray]) -> Sheet:
    rows = -(-len(images) // COLUMNS)
    sheet = np.full((rows * SIDE, COLUMNS * SIDE, 3), _GREY, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, COLUMNS)
        sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = image
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "JPEG", quality=_QUALITY, optimize=True)
    return Sheet(file.getvalue(), rows)
