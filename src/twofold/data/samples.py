"""The samples of WebDataset archives: files whose names are equal up to the first dot, such as 1.jpg, 1.json and 1.cls."""

from collections.abc import Collection
from typing import Final

IMAGES: Final = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"}


def companions(names: Collection[str]) -> set[str]:
    """Those names that are not of an image, but belong to a sample with one.

    >>> sorted(companions(["a/1.jpg", "a/1.seg.png", "a/1.json", "b/1.json", "readme.txt"]))
    ['a/1.json']
    """
    samples = {_sample(name) for name in names if _is_image(name)}
    return {name for name in names if not _is_image(name) and _sample(name) in samples}


def _sample(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _is_image(name: str) -> bool:
    return f".{name.rpartition('.')[2].lower()}" in IMAGES
