"""Damaged files of every format through `look()`: what comes out of them, how long it takes, how much memory.

    cd tests; python -m data.fuzz [--seed 8] [--files 10000] [--trace]

Prints one line of JSON. Every file follows from the seed and its number; --trace prints the numbers, for a crash.
"""

import argparse
import io
import json
import resource
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from deepfiles import png, pnm, tiff_in_colour
from PIL import Image

from twofold.data import PreprocessedImage, Preprocessing, preprocess

SQUARE = Preprocessing(16, deep=(100, 60_000), floats=(0.0, 255.0))
MAX_PIXELS = 1_000_000
_SIZES = (0, 1, 2, 255, 256, 999, 32_767, 32_768, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave."""

    seed: int
    files: int
    codes: dict[str, int]  # "seen" is a picture
    seconds: float
    slowest: tuple[float, int]  # seconds, number of the file
    grown: int  # bytes that the process took more at its peak than after it had seen every sound file


def samples() -> list[bytes]:
    """A small sound file of every format that is read, and of the kinds that take other roads through the decoders."""
    image = _picture()
    turned, palette = image.transpose(Image.Transpose.ROTATE_180), image.quantize(16)
    sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    more: dict[str, Any] = {"save_all": True, "append_images": [turned]}
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (image, "JPEG", {}),
        (image, "JPEG", {"progressive": True, "exif": exif}),
        (image.convert("CMYK"), "JPEG", {}),
        (image.convert("L"), "JPEG", {"restart_marker_blocks": 1}),
        (image, "PNG", {"exif": exif}),
        (palette, "PNG", {"transparency": bytes([0, 128, 255])}),
        (image.convert("1"), "PNG", {}),
        (sixteen, "PNG", {}),
        (image.convert("LA"), "PNG", {}),
        (image, "PNG", more),
        (image, "WEBP", {"exif": exif}),
        (image.convert("RGBA"), "WEBP", {"lossless": True}),
        (image, "WEBP", more),
        (image, "BMP", {}),
        (palette, "BMP", {}),
        (palette, "GIF", {"transparency": 1}),
        (palette, "GIF", {**more, "append_images": [turned.quantize(16)]}),
        (image, "AVIF", {"exif": exif}),
        (image, "AVIF", more),
        (image, "TIFF", {"exif": exif}),
        (image, "TIFF", {"big_tiff": True}),
        (image, "TIFF", more),
        (sixteen, "TIFF", {}),
        (image, "PPM", {}),
        (sixteen, "PPM", {}),
        (image.convert("1"), "PPM", {}),
        (image.convert("L").convert("F"), "TIFF", {"compression": "tiff_lzw"}),
        (image.convert("CMYK"), "TIFF", {"compression": "tiff_adobe_deflate"}),
        (image.convert("YCbCr"), "TIFF", {"compression": "jpeg"}),
        (image, "TIFF", {"compression": "packbits"}),
        (image.convert("1"), "TIFF", {"compression": "group3"}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
    ]
    colours = np.asarray(image).astype(np.uint16) * 257
    made = [png(colours), png(colours[..., :2]), tiff_in_colour(colours), tiff_in_colour(colours, ">", packed=True)]
    plain = b"P3 # plain\n3 2 255\n" + b"1 20 255 " * 6
    return [*(_encoded(image, format, options) for image, format, options in kinds), *made, pnm(colours), plain]


def mutate(random: np.random.Generator, files: list[bytes]) -> bytes:
    """One of the files, damaged in one to three ways."""
    data = damage(files[random.integers(len(files))], random, files)
    if data.startswith(b"\x89PNG") and random.random() < 0.8:
        _mend_checksums(data)
    return bytes(data)


def damage(data: bytes, random: np.random.Generator, files: list[bytes]) -> bytearray:
    """The data, damaged in one to three ways; parts of the files may be put into it."""
    damaged = bytearray(data)
    for way in random.choice(len(_WAYS), random.integers(1, 4)):
        damaged = _WAYS[way](damaged, random, files) or bytearray(b"\0")
    return damaged


def run(seed: int, count: int, *, trace: bool = False) -> Outcome:
    """`count` damaged files, looked at; whatever is raised ends the run."""
    files = samples()
    for data in files:
        assert isinstance(preprocess(data, SQUARE), PreprocessedImage)

    def trial(random: np.random.Generator) -> str:
        seen = preprocess(mutate(random, files), SQUARE, max_pixels=MAX_PIXELS)
        return "seen" if isinstance(seen, PreprocessedImage) else seen.code

    return measure(trial, seed, count, trace=trace)


def measure(trial: Callable[[np.random.Generator], str], seed: int, count: int, *, trace: bool = False) -> Outcome:
    """What `count` trials gave, each with its own random numbers; a trial returns its code."""
    codes: Counter[str] = Counter()
    slowest, before, start = (0.0, 0), _peak(), time.perf_counter()
    for number in range(count):
        if trace:
            print(number, flush=True)
        began = time.perf_counter()
        codes[trial(np.random.default_rng([seed, number]))] += 1
        slowest = max(slowest, (time.perf_counter() - began, number))
    return Outcome(seed, count, dict(codes), time.perf_counter() - start, slowest, _peak() - before)


def _picture() -> Image.Image:
    y, x = np.mgrid[:16, :24]
    waves = 128 + 60 * np.sin(x[..., None] * [0.5, 0.7, 0.3]) + 60 * np.cos(y[..., None] * [0.4, 0.2, 0.6])
    return Image.fromarray(waves.astype(np.uint8))


def _encoded(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(data: bytearray, random: np.random.Generator) -> int:
    """Mostly near the beginning, where the headers are."""
    return int(random.integers(min(len(data), random.choice([40, 200, 100_000]))))


def _flip(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    for _ in range(random.integers(1, 9)):
        data[_place(data, random)] ^= 1 << int(random.integers(8))
    return data


def _cut(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    return data[: random.integers(len(data) + 1)]


def _swap(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    first, second, third = sorted(int(at) for at in random.integers(0, len(data) + 1, 3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _lie(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    """A number of two or four bytes, such as a length or a size, gets an odd value."""
    kind = random.choice(["<H", ">H", "<I", ">I"])
    number = struct.pack(kind, _SIZES[random.integers(len(_SIZES))] & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF))
    at = _place(data, random)
    data[at : at + len(number)] = number
    return data


def _repeat(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    first, second = sorted(int(at) for at in random.integers(0, len(data) + 1, 2))
    return data[:second] + data[first:second] * int(random.integers(1, 20)) + data[second:]


def _splice(data: bytearray, random: np.random.Generator, files: list[bytes]) -> bytearray:
    other = files[random.integers(len(files))]
    return data[: random.integers(len(data) + 1)] + other[random.integers(len(other)) :]


_WAYS: tuple[Callable[[bytearray, np.random.Generator, list[bytes]], bytearray], ...] = (
    _flip,
    _cut,
    _swap,
    _lie,
    _repeat,
    _splice,
)


def _mend_checksums(data: bytearray) -> None:
    """Without it nearly every damaged PNG would be refused for its checksum, before anything else is read."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4


def main(run: Callable[..., Outcome], about: str | None, files: int) -> None:
    """Runs what the words of the command say, and prints the outcome."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--files", type=int, default=files)
    parser.add_argument("--trace", action="store_true")
    given = parser.parse_args()
    print(json.dumps(asdict(run(given.seed, given.files, trace=given.trace))))


if __name__ == "__main__":
    main(run, __doc__, 10_000)
