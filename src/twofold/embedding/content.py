"""Reading, hashing and preprocessing of sources; the only place where metadata is made."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import (
    ImageArray,
    PreprocessedImage,
    Preprocessing,
    ReadError,
    identifying_pixels,
    preprocess,
    read_bytes,
)
from twofold.embedding.feature_table import Metadata

Source = Path | bytes | Image.Image | NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """An image that is read and hashed, and not decoded yet."""

    source: bytes | Image.Image | NDArray[np.generic]
    sha256: str
    bytes: int


def read_content(source: Source) -> Content | ReadError:
    """The content of the source, or a read error."""
    if isinstance(source, Path):
        data = read_bytes(source)
        if isinstance(data, ReadError):
            return data
        source = data
    if isinstance(source, bytes):
        return Content(source, hashlib.sha256(source).hexdigest(), len(source))
    # The pixels, not the bytes: the bytes of a PIL image may not be loaded yet, and lack the orientation.
    pixels = identifying_pixels(source)
    if isinstance(pixels, ReadError):
        return pixels
    kind = f"{source.mode} {source.format}" if isinstance(source, Image.Image) else str(source.dtype)
    return Content(
        source, hashlib.sha256(f"{kind} {pixels.shape} ".encode() + pixels.tobytes()).hexdigest(), pixels.nbytes
    )


def preprocess_content(
    content: Content, preprocessing: Preprocessing, *, max_pixels: int
) -> tuple[Metadata, PreprocessedImage] | ReadError:
    """The metadata and the preprocessed image, or a read error."""
    image = preprocess(content.source, preprocessing, max_pixels=max_pixels)
    if isinstance(image, ReadError):
        return image
    thumbnail = hashlib.sha256(image.thumbnail.tobytes()).hexdigest()[:16]  # the model input may lack the border
    pixels = "".join(pixel_hash(image.width, image.height, each) for each in image.model_inputs) + thumbnail
    size, encoding = (image.width, image.height, image.format, content.bytes), image.encoding
    return Metadata(content.sha256, pixels, *size, encoding.quality, encoding.exif, encoding.camera), image


def pixel_hash(width: int, height: int, model_input: ImageArray) -> str:
    """A hash of the model input and of the size of the original image."""
    return hashlib.sha256(f"{width}x{height} ".encode() + model_input.tobytes()).hexdigest()
