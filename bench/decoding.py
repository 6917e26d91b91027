"""Decoders from a JPEG file to the model input: speed, and difference from a full decode. See docs/decisions/001-decoding.md.

python bench/decoding.py FOLDER [--size 224] [--crop-mode center] [--filter bilinear]

Prints a table for the photographs in FOLDER, and one for photographs enlarged to 12 megapixels. Speed is measured in processor
time of one thread, median of interleaved rounds. simplejpeg is included if it is installed.
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

Decoder = Callable[[bytes, Preprocessing], NDArray[np.uint8]]
LARGE_PIXELS = 12_000_000


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
    print(
        f"{args.size} px, {args.crop_mode}, {args.filter}: images/s in one thread; mean difference from the full decode, of 255"
    )
    table("photographs", photos, preprocessing, args.rounds)
    table("12 megapixels", [enlarge(photo) for photo in photos[:8]], preprocessing, args.rounds)


def table(title: str, photos: list[bytes], preprocessing: Preprocessing, rounds: int) -> None:
    decoders = DECODERS | (SIMPLEJPEG if simplejpeg else {})
    references = [full(photo, preprocessing).astype(float) for photo in photos]
    seconds: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(rounds):
        for name, decoder in decoders.items():
            start = thread_time()
            for photo in photos:
                decoder(photo, preprocessing)
            seconds[name].append((thread_time() - start) / len(photos))
    print(f"\n{title} ({len(photos)})")
    for name, decoder in decoders.items():
        difference = np.mean(
            [
                np.abs(decoder(photo, preprocessing) - reference).mean()
                for photo, reference in zip(photos, references, strict=True)
            ]
        )
        speed = 1 / median(seconds[name])
        print(f"{name:34}{speed:8.1f} /s{speed * median(seconds['full decode']):8.2f} x{difference:8.2f}")


def enlarge(photo: bytes) -> bytes:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    scale = math.sqrt(LARGE_PIXELS / (image.width * image.height))
    buffer = io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=90
    )
    return buffer.getvalue()


def twofold(photo: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    image = preprocess(photo, preprocessing)
    assert isinstance(image, PreprocessedImage), image
    return image.model_input


def full(photo: bytes, preprocessing: Preprocessing, gap: float | None = None) -> NDArray[np.uint8]:
    image = JpegImageFile(io.BytesIO(photo))
    image.load()
    return crop_and_resize(image, image.size, preprocessing, gap)


def simplejpeg_decode(photo: bytes, preprocessing: Preprocessing, colours: str, factor: float) -> NDArray[np.uint8]:
    height, width, *_ = simplejpeg.decode_jpeg_header(photo)
    min_width, min_height = min_decoded_size(width, height, preprocessing)
    pixels = simplejpeg.decode_jpeg(photo, colours, min_width=min_width, min_height=min_height, min_factor=factor)
    size = (pixels.shape[1], pixels.shape[0])
    # RGBX is Pillow's internal layout: frombuffer shares the memory, while RGB has to be repacked
    image = Image.frombuffer(colours, size, pixels, "raw", colours, 0, 1)
    return np.ascontiguousarray(crop_and_resize(image, (width, height), preprocessing, None)[:, :, :3])


def crop_and_resize(
    image: Image.Image, full_size: tuple[int, int], preprocessing: Preprocessing, gap: float | None
) -> NDArray[np.uint8]:
    left, top, right, bottom = area(*full_size, preprocessing)
    scale_x, scale_y = image.width / full_size[0], image.height / full_size[1]
    box = (left * scale_x, top * scale_y, right * scale_x, bottom * scale_y)
    size = (preprocessing.size, preprocessing.size)
    resized = image.resize(size, Image.Resampling[preprocessing.filter.upper()], box, gap)
    return np.array(resized.convert("RGB") if resized.mode == "L" else resized)


def area(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    if preprocessing.crop_mode == "squash":
        return 0, 0, width, height
    side = min(width, height) * 7 / 8
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def min_decoded_size(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    left, top, right, bottom = area(width, height, preprocessing)
    min_width, min_height = (
        math.ceil(width * preprocessing.size / (right - left)),
        math.ceil(height * preprocessing.size / (bottom - top)),
    )
    return (min_width, min_height) if min_width < width and min_height < height else (0, 0)


DECODERS: dict[str, Decoder] = {
    "full decode": full,
    "twofold (Pillow's draft)": twofold,
    "Pillow, reducing_gap=2": lambda photo, preprocessing: full(photo, preprocessing, 2.0),
    "Pillow, reducing_gap=3": lambda photo, preprocessing: full(photo, preprocessing, 3.0),
}
SIMPLEJPEG: dict[str, Decoder] = {
    "simplejpeg M/8, RGB": lambda photo, preprocessing: simplejpeg_decode(photo, preprocessing, "RGB", 1),
    "simplejpeg M/8, RGBX": lambda photo, preprocessing: simplejpeg_decode(photo, preprocessing, "RGBX", 1),
    "simplejpeg 1/2 and less, RGBX": lambda photo, preprocessing: simplejpeg_decode(photo, preprocessing, "RGBX", 2),
}

if __name__ == "__main__":
    main()
