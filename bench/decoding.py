"""Ways from a JPEG to the network's input: speed and difference from a full decode. See docs/decisions/001-decoding.md.

python bench/decoding.py FOLDER [--size 224] [--crop-mode crop] [--filter bilinear]

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

from twofold.data import PreprocessedImage, Preprocessing, preprocess

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

WeightInterpolation = Callable[[bytes, Preprocessing], NDArray[np.uint8]]
BIG = 12_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--crop-mode", choices=("squash", "center"), default="center")
    parser.add_argument("--filter", choices=("bilinear", "bicubic"), default="bilinear")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    files = sorted(args.folder.rglob("*.jpg"))
    photos = [file.read_bytes() for file in files[:: max(len(files) // 100, 1)]]
    preprocessing = Preprocessing(args.size, args.crop_mode, args.filter)
    print(f"{preprocessing}: pictures a second in one thread; mean difference from 'full', of 255")
    table("the photographs", photos, preprocessing, args.rounds)
    table("12 megapixels", [enlarged(photo) for photo in photos[:8]], preprocessing, args.rounds)


def table(title: str, photos: list[bytes], preprocessing: Preprocessing, rounds: int) -> None:
    ways = WAYS | (SIMPLEJPEG if simplejpeg else {})
    exact = [full(photo, preprocessing).astype(float) for photo in photos]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = thread_time()
            for photo in photos:
                way(photo, preprocessing)
            seconds[name].append((thread_time() - start) / len(photos))
    print(f"\n{title} ({len(photos)})")
    for name, way in ways.items():
        off = np.mean(
            [np.abs(way(photo, preprocessing) - true).mean() for photo, true in zip(photos, exact, strict=True)]
        )
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


def twofold(photo: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    seen = preprocess(photo, preprocessing)
    assert isinstance(seen, PreprocessedImage), seen
    return seen.model_input


def full(photo: bytes, preprocessing: Preprocessing, gap: float | None = None) -> NDArray[np.uint8]:
    image = JpegImageFile(io.BytesIO(photo))
    image.load()
    return fitted(image, image.size, preprocessing, gap)


def simple(photo: bytes, preprocessing: Preprocessing, colours: str, factor: float) -> NDArray[np.uint8]:
    height, width, *_ = simplejpeg.decode_jpeg_header(photo)
    across, down = least(width, height, preprocessing)
    pixels = simplejpeg.decode_jpeg(photo, colours, min_width=across, min_height=down, min_factor=factor)
    size = (pixels.shape[1], pixels.shape[0])
    # RGBX is Pillow's own layout: frombuffer shares the memory, where RGB has to be spread out
    image = Image.frombuffer(colours, size, pixels, "raw", colours, 0, 1)
    return np.ascontiguousarray(fitted(image, (width, height), preprocessing, None)[:, :, :3])


def fitted(
    image: Image.Image, whole: tuple[int, int], preprocessing: Preprocessing, gap: float | None
) -> NDArray[np.uint8]:
    left, top, right, bottom = area(*whole, preprocessing)
    across, down = image.width / whole[0], image.height / whole[1]
    box = (left * across, top * down, right * across, bottom * down)
    inner = (preprocessing.size, preprocessing.size)
    seen = image.resize(inner, Image.Resampling[preprocessing.filter.upper()], box, gap)
    return np.array(seen.convert("RGB") if seen.mode == "L" else seen)


def area(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    if preprocessing.crop_mode == "squash":
        return 0, 0, width, height
    side = min(width, height) * 7 / 8
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def least(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    left, top, right, bottom = area(width, height, preprocessing)
    across, down = (
        math.ceil(width * preprocessing.size / (right - left)),
        math.ceil(height * preprocessing.size / (bottom - top)),
    )
    return (across, down) if across < width and down < height else (0, 0)


WAYS: dict[str, WeightInterpolation] = {
    "full": full,
    "twofold.look (Pillow's draft)": twofold,
    "Pillow, reducing_gap=2": lambda photo, preprocessing: full(photo, preprocessing, 2.0),
    "Pillow, reducing_gap=3": lambda photo, preprocessing: full(photo, preprocessing, 3.0),
}
SIMPLEJPEG: dict[str, WeightInterpolation] = {
    "simplejpeg M/8, RGB": lambda photo, preprocessing: simple(photo, preprocessing, "RGB", 1),
    "simplejpeg M/8, RGBX": lambda photo, preprocessing: simple(photo, preprocessing, "RGBX", 1),
    "simplejpeg 1/2 and less, RGBX": lambda photo, preprocessing: simple(photo, preprocessing, "RGBX", 2),
}

if __name__ == "__main__":
    main()
