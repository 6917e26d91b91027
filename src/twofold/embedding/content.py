"""Sources read and hashed, and the one place where facts about a picture are made."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import ImageArray, PreprocessedImage, Preprocessing, ReadError, numbers_of, preprocess, read_bytes
from twofold.embedding.feature_table import Metadata

Source = Path | bytes | Image.Image | NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """A picture that has been read and hashed, and still has to be looked at."""

    source: bytes | Image.Image | NDArray[np.generic]
    sha256: str
    bytes: int


def read_content(source: Source) -> Content | ReadError:
    """What the source holds, or why it cannot be read."""
    if isinstance(source, Path):
        data = read_bytes(source)
        if isinstance(data, ReadError):
            return data
        source = data
    if isinstance(source, bytes):
        return Content(source, hashlib.sha256(source).hexdigest(), len(source))
    # Not its own bytes: those of a PIL image may still have to be read, and do not say which way is up.
    pixels = numbers_of(source)
    if isinstance(pixels, ReadError):
        return pixels
    kind = f"{source.mode} {source.format}" if isinstance(source, Image.Image) else str(source.dtype)
    return Content(
        source, hashlib.sha256(f"{kind} {pixels.shape} ".encode() + pixels.tobytes()).hexdigest(), pixels.nbytes
    )


def preprocess_content(
    content: Content, preprocessing: Preprocessing, *, max_pixels: int
) -> tuple[Metadata, PreprocessedImage] | ReadError:
    """Its facts and what one look at it gives, or why it cannot be used."""
    seen = preprocess(content.source, preprocessing, max_pixels=max_pixels)
    if isinstance(seen, ReadError):
        return seen
    whole = hashlib.sha256(seen.thumbnail.tobytes()).hexdigest()[:16]  # the network may not see the border
    pixels = pixel_hash(seen.width, seen.height, seen.model_input) + whole
    size, traits = (seen.width, seen.height, seen.format, content.bytes), seen.traits
    return Metadata(content.sha256, pixels, *size, traits.quality, traits.exif, traits.camera), seen


def pixel_hash(width: int, height: int, preprocessing: ImageArray) -> str:
    """Of what the network sees of a picture, and of the picture's own size."""
    return hashlib.sha256(f"{width}x{height} ".encode() + preprocessing.tobytes()).hexdigest()
