"""Small images, drawn with a fixed seed, and their files."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawings import draw
from PIL import Image, ImageFilter

Encode = Callable[..., bytes]


def _encode(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def encode() -> Encode:
    """(image, format, **options of Pillow's save) -> the bytes of the file."""
    return _encode


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """An RGB image of 48 x 32 pixels that differs from all of its turned and mirrored versions."""
    return draw("rings", 1, 48).crop((0, 0, 48, 32)).filter(ImageFilter.GaussianBlur(1))


@pytest.fixture(scope="session")
def files(photo: Image.Image) -> dict[str, bytes]:
    """The photo in every supported format and kind of file."""
    palette, turned = photo.quantize(64), photo.transpose(Image.Transpose.ROTATE_180)
    sixteen = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    return {
        "jpeg": _encode(photo, "JPEG", quality=90),
        "progressive jpeg": _encode(photo, "JPEG", quality=90, progressive=True),
        "grey jpeg": _encode(photo.convert("L"), "JPEG"),
        "cmyk jpeg": _encode(photo.convert("CMYK"), "JPEG"),
        "png": _encode(photo, "PNG"),
        "palette png": _encode(palette, "PNG"),
        "16-bit png": _encode(sixteen, "PNG"),
        "webp": _encode(photo, "WEBP"),
        "lossless webp": _encode(photo, "WEBP", lossless=True),
        "animated webp": _encode(photo, "WEBP", save_all=True, append_images=[turned]),
        "bmp": _encode(photo, "BMP"),
        "gif": _encode(palette, "GIF"),
        "animated gif": _encode(palette, "GIF", save_all=True, append_images=[turned.quantize(64)]),
        "tiff": _encode(photo, "TIFF"),
        "lzw tiff": _encode(photo, "TIFF", compression="tiff_lzw"),
        "avif": _encode(photo, "AVIF", quality=90),
        "ppm": _encode(photo, "PPM"),
    }
