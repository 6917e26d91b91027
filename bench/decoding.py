"""Ways from a JPEG to the network's input: speed and difference from a full decode. See docs/decisions/001-decoding.md.

python bench/decoding.py FOLDER [--size 224] [--framing crop] [--filter bilinear]

Prints a table for the photographs in FOLDER, and one for 12-megapixel ones made of them. Speed is that of one thread, by its
own processor time, median of interleaved rounds. The rows of simplejpeg appear where it is installed.
"""

import argparse
import io
import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import thread_time

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from twofold.data import Look, Square, look

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

Way = Callable[[bytes, Square], NDArray[np.uint8]]
BIG = 12_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--framing", choices=("stretch", "crop"), default="crop")
    parser.add_argument("--filter", choices=("bilinear", "bicubic"), default="bilinear")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    files = sorted(args.folder.rglob("*.jpg"))
    photos = [file.read_bytes() for file in files[:: max(len(files) // 100, 1)]]
    square = Square(args.size, args.framing, args.filter)
    print(f"{square}: pictures a second in one thread; mean difference from 'full', of 255")
    table("the photographs", photos, square, args.rounds)
    table("12 megapixels", [enlarged(photo) for photo in photos[:8]], square, args.rounds)


def table(title: str, photos: list[bytes], square: Square, rounds: int) -> None:
    ways = WAYS | (SIMPLEJPEG if simplejpeg else {})
    exact = [full(photo, square).astype(float) for photo in photos]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = thread_time()
            for photo in photos:
                way(photo, square)
            seconds[name].append((thread_time() - start) / len(photos))
    print(f"\n{title} ({len(photos)})")
    for name, way in ways.items():
        off = np.mean([np.abs(way(photo, square) - true).mean() for photo, true in zip(photos, exact, strict=True)])
        speed = 1 / median(seconds[name])
        print(f"{name:34}{speed:8.1f} /s{speed * median(seconds['full']):8.2f} x{off:8.2f}")


def enlarged(photo: bytes) -> bytes:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    scale = math.sqrt(BIG / (image.width * image.height))
    big = io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC).save(
        big, "JPEG", quality=90
    )
    return big.getvalue()


def twofold(photo: bytes, square: Square) -> NDArray[np.uint8]:
    seen = look(photo, square)
    assert isinstance(seen, Look), seen
    return seen.square


def full(photo: bytes, square: Square, gap: float | None = None) -> NDArray[np.uint8]:
    image = JpegImageFile(io.BytesIO(photo))
    image.load()
    return fitted(image, image.size, square, gap)


def simple(photo: bytes, square: Square, colours: str, factor: float) -> NDArray[np.uint8]:
    height, width, *_ = simplejpeg.decode_jpeg_header(photo)
    across, down = least(width, height, square)
    pixels = simplejpeg.decode_jpeg(photo, colours, min_width=across, min_height=down, min_factor=factor)
    size = (pixels.shape[1], pixels.shape[0])
    # RGBX is Pillow's own layout: frombuffer shares the memory, where RGB has to be spread out
    image = Image.frombuffer(colours, size, pixels, "raw", colours, 0, 1)
    return np.ascontiguousarray(fitted(image, (width, height), square, None)[:, :, :3])


def fitted(image: Image.Image, whole: tuple[int, int], square: Square, gap: float | None) -> NDArray[np.uint8]:
    left, top, right, bottom = area(*whole, square)
    across, down = image.width / whole[0], image.height / whole[1]
    box = (left * across, top * down, right * across, bottom * down)
    inner = (square.size, square.size)
    seen = image.resize(inner, Image.Resampling[square.filter.upper()], box, gap)
    return np.array(seen.convert("RGB") if seen.mode == "L" else seen)


def area(width: int, height: int, square: Square) -> tuple[float, float, float, float]:
    if square.framing == "stretch":
        return 0, 0, width, height
    side = min(width, height) * 7 / 8
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def least(width: int, height: int, square: Square) -> tuple[int, int]:
    left, top, right, bottom = area(width, height, square)
    across, down = math.ceil(width * square.size / (right - left)), math.ceil(height * square.size / (bottom - top))
    return (across, down) if across < width and down < height else (0, 0)


WAYS: dict[str, Way] = {
    "full": full,
    "twofold.look (Pillow's draft)": twofold,
    "Pillow, reducing_gap=2": lambda photo, square: full(photo, square, 2.0),
    "Pillow, reducing_gap=3": lambda photo, square: full(photo, square, 3.0),
}
SIMPLEJPEG: dict[str, Way] = {
    "simplejpeg M/8, RGB": lambda photo, square: simple(photo, square, "RGB", 1),
    "simplejpeg M/8, RGBX": lambda photo, square: simple(photo, square, "RGBX", 1),
    "simplejpeg 1/2 and less, RGBX": lambda photo, square: simple(photo, square, "RGBX", 2),
}

if __name__ == "__main__":
    main()
