"""What a file tells beside its picture: a model could answer by it, and nobody would notice."""

from dataclasses import dataclass
from typing import Final

from PIL import Image

from twofold.data.orientation import tags
from twofold.data.quality import jpeg_quality

_MAKE: Final = (0x010F, 0x0110)  # EXIF tags: maker and model of the camera
_ASCII: Final = 2
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class Traits:
    """`quality` is that of a JPEG file, 1 to 100; `camera` is empty where the file names none."""

    quality: int | None = None
    exif: bool = False
    camera: str = ""


def read_traits(image: Image.Image) -> Traits:
    """The traits of an opened file."""
    named = {tag: value for _, tag, kind, _, value in tags(image.info) if tag in _MAKE and kind == _ASCII}
    words = (named[tag].split(b"\0")[0].decode("latin-1").strip() for tag in _MAKE if tag in named)
    tables = getattr(image, "quantization", None)
    quality = jpeg_quality(tables) if tables else None
    return Traits(quality, bool(image.info.get("exif")), " ".join(words)[:_LONGEST])
