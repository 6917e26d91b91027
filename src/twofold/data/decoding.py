"""Bytes to pixels: the only place where files are decoded. docs/decisions/001-decoding.md explains the choice of Pillow."""

import io
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from twofold.data.bit_depth import Extent, declared_white, load_low, low_half, measure, measure_array
from twofold.data.eight_bits import FULL, NO_RANGES, IntensityRanges, eight_bits
from twofold.data.file_metadata import EncodingMetadata, read_encoding_metadata
from twofold.data.formats import Format, sniff
from twofold.data.orientation import read_orientation
from twofold.data.read_errors import ReadError
from twofold.data.readers import READERS, quiet_libtiff

_LONGEST: Final = 65_535  # pixels along a side, as in JPEG files
# Scans of a JPEG file: at most 100, and at most 1e9 pixels times scans; 20 scans are always allowed.
_MAX_SCANS, _MIN_SCAN_LIMIT, _MAX_PIXEL_SCANS = 100, 20, 1_000_000_000
_PLAIN: Final = re.compile(rb"P[123][\s#]")
_PLAIN_PIXELS: Final = 1_000_000  # Python reads them one by one
# Words with which Pillow's readers, Python and libavif report missing bytes.
_CUT_SHORT: Final = re.compile(
    "truncated|incomplete|not enough|end of|buffer|out of range|no more images|cannot load|chunk b'.{0,3}'",
    re.IGNORECASE,
)

# PIL images load their pixels at first use, and two threads must not load at once: the same image may be given twice, and many
# images may share one open file.
_LOADING: Final = Lock()
_FAILED: Final[WeakValueDictionary[int, Image.Image]] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Eight-bit pixels as stored, not yet upright; each stands for `step` x `step` pixels of the image."""

    image: Image.Image  # mode L or RGB
    step: int  # 1, 2, 4 or 8
    width: int  # of the image as stored, at full size
    height: int
    orientation: int
    format: str
    encoding: EncodingMetadata


def decode(
    data: bytes, shrink: Callable[[int, int], float], max_pixels: int, ranges: IntensityRanges = NO_RANGES
) -> DecodedImage | ReadError:
    """The first frame of the file, or a read error. `shrink(width, height)` is the factor by which it may be reduced."""
    kind = sniff(data)
    if isinstance(kind, ReadError):
        return kind
    try:
        image = _open(data, kind, max_pixels)
        if isinstance(image, ReadError):
            return image
        size = image.size
        step = _draft(image, shrink(*size)) if isinstance(image, JpegImageFile) else 1
        low = low_half(image, data) if ranges.integer_range not in (None, FULL) else None
        return _load(image, step, size, kind, ranges, low)
    # Pillow does not document what its readers raise: damaged bytes end in anything from OSError to AssertionError.
    except Exception as error:
        return _read_error(error, kind, data)


def convert_pil_image(image: Image.Image, ranges: IntensityRanges = NO_RANGES) -> DecodedImage | ReadError:
    """A PIL image of any mode, as `decode` gives it; the image itself is not changed."""
    name = image.format or "array"
    try:
        with _LOADING:
            _load_once(image)
        return _load(image, 1, image.size, name, ranges)
    except Exception as error:  # an image that Pillow has opened reads its file here
        return _read_error(error, name)


def _load_once(image: Image.Image) -> None:
    """Loads the image. An image that failed before fails again; Pillow would return the incomplete pixels.

    Pillow's warnings about an image that the caller opened reach the caller's warning filters.
    """
    if _FAILED.get(id(image)) is image:
        raise OSError("it failed before")
    try:
        with quiet_libtiff() if image.format == "TIFF" else nullcontext():
            image.load()
    except Exception:
        _FAILED[id(image)] = image
        raise


def extent_of(source: bytes | Image.Image | NDArray[Any], max_pixels: int) -> Extent | None:
    """The extent of the values of an image with more than eight bits per channel; None for eight, or where decoding fails."""
    if isinstance(source, np.ndarray):
        return measure_array(source)
    try:
        if isinstance(source, bytes):
            return _extent(source, max_pixels)
        with _LOADING:
            _load_once(source)
        return measure(source) if source.width * source.height else None
    except Exception:  # as above; decode() says why
        return None


def read_size(source: bytes | Image.Image | NDArray[Any], max_pixels: int) -> tuple[int, int] | None:
    """Width and height, of a file as its header states them; None where it cannot be read."""
    if isinstance(source, np.ndarray):
        return (source.shape[1], source.shape[0]) if source.ndim in (2, 3) else None
    if isinstance(source, Image.Image):
        return source.size
    try:
        kind = sniff(source)
        image = kind if isinstance(kind, ReadError) else _open(source, kind, max_pixels)
        return None if isinstance(image, ReadError) else image.size
    except Exception:  # as above; decode() says why
        return None


def _extent(data: bytes, max_pixels: int) -> Extent | None:
    kind = sniff(data)
    image = kind if isinstance(kind, ReadError) else _open(data, kind, max_pixels)
    if isinstance(image, ReadError):
        return None
    low, white = low_half(image, data), declared_white(image, data)
    image.load()
    return measure(image, None if low is None else load_low(low), white)


def _open(data: bytes, kind: Format, max_pixels: int) -> ImageFile.ImageFile | ReadError:
    """The reader of the file, before it decodes any pixel; a read error where the image is too large."""
    if _PLAIN.match(data):  # Pillow removes one comment after the other, and copies the rest of the data each time
        data = re.sub(rb"#[^\r\n]*", b"", data)
    image = READERS[kind](io.BytesIO(data))
    for size in (image.size, _tile(image)):
        if prod(size) > max_pixels:
            return _too_large(*size, max_pixels)
        if max(size) > _LONGEST:
            return _too_long(*size)
    if _PLAIN.match(data) and prod(image.size) > _PLAIN_PIXELS:
        return ReadError(
            "too-large", f"A plain PPM file of more than {_PLAIN_PIXELS:,} pixels is not read: save it as binary."
        )
    return (_too_many_scans(image, data) if isinstance(image, JpegImageFile) else None) or image


def _too_long(width: int, height: int) -> ReadError:
    return ReadError(
        "too-large", f"The image is {width} x {height}, the limit of a side is {_LONGEST:,} pixels: cut it into pieces."
    )


def _too_many_scans(image: JpegImageFile, data: bytes) -> ReadError | None:
    """A read error for a JPEG file of very many scans.

    A file whose colours do not share one scan is decoded once for each scan. Encoders write about 10; the format has no limit.
    """
    header = 8 + 2 * image.layers  # size of the header of a scan with all colours; the reader is after the first one
    at = image.fp.tell() - header if image.fp else 0
    if not image.info.get("progressive") and data[at : at + 2] == b"\xff\xda":
        return None
    scans = data.count(b"\xff\xda")
    limit = min(_MAX_SCANS, max(_MIN_SCAN_LIMIT, int(_MAX_PIXEL_SCANS // max(prod(image.size), 1))))
    if scans <= limit:
        return None
    return ReadError("too-large", f"The JPEG file is coded in {scans:,} scans, the limit is {limit}: export it again.")


def _load(
    image: Image.Image,
    step: int,
    size: tuple[int, int],
    name: str,
    ranges: IntensityRanges,
    low: ImageFile.ImageFile | None = None,
) -> DecodedImage | ReadError:
    image.load()
    if 0 in image.size:
        return ReadError("not-an-image", f"The image is {image.width} x {image.height}: it has no pixels.")
    if step == 1:
        size = image.size  # load() turns a TIFF image upright
    pixels = eight_bits(image, ranges, None if low is None else load_low(low))
    if isinstance(pixels, ReadError):
        return pixels
    return DecodedImage(pixels, step, *size, read_orientation(image.info), name, read_encoding_metadata(image))


def _tile(image: ImageFile.ImageFile) -> tuple[int, int]:
    """(width, height) of a tile of a TIFF file, else zeros: a whole tile is decoded, however small the image."""
    return (
        (image.tag_v2.get(TILEWIDTH, 0), image.tag_v2.get(TILELENGTH, 0))
        if isinstance(image, TiffImageFile)
        else (0, 0)
    )


def draft_step(shrink: float) -> int:
    """The largest factor, 1, 2, 4 or 8, by which libjpeg reduces an image that may be reduced by `shrink`."""
    return next(step for step in (8, 4, 2, 1) if step <= max(shrink, 1))


def _draft(image: JpegImageFile, shrink: float) -> int:
    """Sets libjpeg to decode at 1/2, 1/4 or 1/8 of the size, and returns 2, 4 or 8: seven times the speed on large photos."""
    step = draft_step(shrink)
    image.draft(None, (max(image.width // step, 1), max(image.height // step, 1)))
    return step


def _too_large(width: int, height: int, max_pixels: int) -> ReadError:
    size = f"{width} x {height} = {width * height / 1e6:.1f} megapixels"
    return ReadError(
        "too-large",
        f"The image is {size}, the limit is {max_pixels / 1e6:g}: raise `max_megapixels`, or scale the image down.",
    )


def _read_error(error: Exception, name: str, data: bytes = b"") -> ReadError:
    if isinstance(error, Image.DecompressionBombError):
        return ReadError("too-large", "The image exceeds Pillow's size limit: scale it down.")
    if isinstance(error, MemoryError):
        return ReadError("too-large", "There is not enough memory for the image: scale it down.")
    if _ends_early(data) or _CUT_SHORT.search(str(error)):
        return ReadError("truncated", f"The {name} file ends before the image does: fetch it again.")
    text = str(error) or type(error).__name__
    return ReadError("damaged", f"The {name} file cannot be decoded ({text}): fetch or export it again.")


def _ends_early(data: bytes) -> bool:
    """Whether a WebP file is shorter than its header says, or a TIFF file ends before its directory: Pillow reports neither."""
    if data[:4] == b"RIFF":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:4] == b"II*\x00":
        return int.from_bytes(data[4:8], "little") >= len(data)
    return data[:4] == b"MM\x00*" and int.from_bytes(data[4:8], "big") >= len(data)
