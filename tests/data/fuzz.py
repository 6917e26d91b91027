"""Damaged files of every format, preprocessed: the results, the time and the memory they take.

    cd tests; python -m data.fuzz [--seed 8] [--files 10000] [--trace]

Prints one line of JSON. Every file follows from the seed and its number; --trace prints the numbers, to find a crash.
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

PREPROCESSING = Preprocessing(16, integer_range=(100, 60_000), float_range=(0.0, 255.0))
MAX_PIXELS = 1_000_000
_SIZES = (0, 1, 2, 255, 256, 999, 32_767, 32_768, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one run."""

    seed: int
    files: int
    codes: dict[str, int]  # of the read errors; "preprocessed" where there is none
    seconds: float
    slowest: tuple[float, int]  # seconds, number of the file
    growth: int  # bytes by which the peak of memory grew during the run


def samples() -> list[bytes]:
    """A small valid file of every supported format, and of the kinds that the decoders read by other code."""
    image = _draw()
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
    integer_range = [
        png(colours),
        png(colours[..., :2]),
        tiff_in_colour(colours),
        tiff_in_colour(colours, ">", packed=True),
    ]
    plain = b"P3 # plain\n3 2 255\n" + b"1 20 255 " * 6
    return [
        *(_encoded(image, format, options) for image, format, options in kinds),
        *integer_range,
        pnm(colours),
        plain,
    ]


def mutate(random: np.random.Generator, files: list[bytes]) -> bytes:
    """One of the files, damaged one to three times."""
    data = damage(files[random.integers(len(files))], random, files)
    if data.startswith(b"\x89PNG") and random.random() < 0.8:
        _mend_checksums(data)
    return bytes(data)


def damage(data: bytes, random: np.random.Generator, files: list[bytes]) -> bytearray:
    """The data, damaged one to three times; pieces of the files may be put into it."""
    damaged = bytearray(data)
    for number in random.choice(len(_DAMAGES), random.integers(1, 4)):
        damaged = _DAMAGES[number](damaged, random, files) or bytearray(b"\0")
    return damaged


def run(seed: int, count: int, *, trace: bool = False) -> Outcome:
    """The results of `count` damaged files; an exception ends the run."""
    files = samples()
    for data in files:
        assert isinstance(preprocess(data, PREPROCESSING), PreprocessedImage)

    def trial(random: np.random.Generator) -> str:
        result = preprocess(mutate(random, files), PREPROCESSING, max_pixels=MAX_PIXELS)
        return "preprocessed" if isinstance(result, PreprocessedImage) else result.code

    return measure(trial, seed, count, trace=trace)


def measure(trial: Callable[[np.random.Generator], str], seed: int, count: int, *, trace: bool = False) -> Outcome:
    """The results of `count` trials, each with random numbers of its own; a trial returns a code."""
    codes: Counter[str] = Counter()
    slowest, before, start = (0.0, 0), _peak(), time.perf_counter()
    for number in range(count):
        if trace:
            print(number, flush=True)
        began = time.perf_counter()
        codes[trial(np.random.default_rng([seed, number]))] += 1
        slowest = max(slowest, (time.perf_counter() - began, number))
    return Outcome(seed, count, dict(codes), time.perf_counter() - start, slowest, _peak() - before)


def _draw() -> Image.Image:
    y, x = np.mgrid[:16, :24]
    waves = 128 + 60 * np.sin(x[..., None] * [0.5, 0.7, 0.3]) + 60 * np.cos(y[..., None] * [0.4, 0.2, 0.6])
    return Image.fromarray(waves.astype(np.uint8))


def _encoded(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _position(data: bytearray, random: np.random.Generator) -> int:
    """A position in the data, mostly near the beginning, where the headers are."""
    return int(random.integers(min(len(data), random.choice([40, 200, 100_000]))))


def _flip(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    for _ in range(random.integers(1, 9)):
        data[_position(data, random)] ^= 1 << int(random.integers(8))
    return data


def _cut(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    return data[: random.integers(len(data) + 1)]


def _swap(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    first, second, third = sorted(int(at) for at in random.integers(0, len(data) + 1, 3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _lie(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    """Gives an odd value to a number of two or four bytes, such as a length or a size."""
    kind = random.choice(["<H", ">H", "<I", ">I"])
    number = struct.pack(kind, _SIZES[random.integers(len(_SIZES))] & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF))
    at = _position(data, random)
    data[at : at + len(number)] = number
    return data


def _repeat(data: bytearray, random: np.random.Generator, _: list[bytes]) -> bytearray:
    first, second = sorted(int(at) for at in random.integers(0, len(data) + 1, 2))
    return data[:second] + data[first:second] * int(random.integers(1, 20)) + data[second:]


def _splice(data: bytearray, random: np.random.Generator, files: list[bytes]) -> bytearray:
    other = files[random.integers(len(files))]
    return data[: random.integers(len(data) + 1)] + other[random.integers(len(other)) :]


_DAMAGES: tuple[Callable[[bytearray, np.random.Generator, list[bytes]], bytearray], ...] = (
    _flip,
    _cut,
    _swap,
    _lie,
    _repeat,
    _splice,
)


def _mend_checksums(data: bytearray) -> None:
    """Corrects the checksums of a PNG file: else nearly every damaged one would be refused before anything else is read."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4


def main(run: Callable[..., Outcome], description: str | None, files: int) -> None:
    """Runs the program with its command-line arguments, and prints the outcome."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--files", type=int, default=files)
    parser.add_argument("--trace", action="store_true")
    arguments = parser.parse_args()
    print(json.dumps(asdict(run(arguments.seed, arguments.files, trace=arguments.trace))))


if __name__ == "__main__":
    main(run, __doc__, 10_000)
