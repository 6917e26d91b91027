"""Bytes to pixels, the only place where files are decoded; docs/decisions/001-decoding.md says why it is Pillow."""

import ctypes
import io
import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import prod
from threading import Lock
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, _imaging
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from twofold.data.bit_depth import Extent, declared_white, load_low, low_half, measure, measure_array
from twofold.data.eight_bits import FULL, NO_RANGES, Ranges, eight_bits
from twofold.data.file_metadata import EncodingMetadata, read_encoding_metadata
from twofold.data.formats import Format, sniff
from twofold.data.orientation import read_orientation
from twofold.data.read_errors import ReadError

# The readers are called by name, not through Image.open: none is tried that is not wanted (EPS starts Ghostscript), and
# Pillow's process-wide limit on pixels neither warns nor refuses before ours.
_READERS: Final[dict[Format, type[ImageFile.ImageFile]]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
    "PPM": PpmImageFile,
}
# Pillow warns about odd metadata, which says nothing of the pixels, and about frames and tiles that it finds large, on
# which our limit has the say. As catch_warnings is not safe in threads, filters as narrow as can be are put in, and stay.
_CHATTY: Final = (
    (UserWarning, r"PIL\.(Tiff|Png|Jpeg)ImagePlugin"),
    (Image.DecompressionBombWarning, r"PIL\.Image$"),
)
_LONGEST: Final = 65_535  # pixels of a side: what a JPEG file can have at most
_SCANS, _SCANS_OF_LARGE, _SCANNED = 100, 20, 1_000_000_000  # of a JPEG file; of one of any size; pixels times scans
_PLAIN: Final = re.compile(rb"P[123][\s#]")
_PLAIN_PIXELS: Final = 1_000_000  # that Python reads one by one
# How Pillow's readers, Python and libavif say that there are bytes missing.
_CUT_SHORT: Final = re.compile(
    "truncated|incomplete|not enough|end of|buffer|out of range|no more images|cannot load|chunk b'.{0,3}'",
    re.IGNORECASE,
)

# PIL images are read at their first use, which two threads must not be at together: the same image may be given twice, and many
# may share one open file.
_LOADING: Final = Lock()
_BROKEN: Final[WeakValueDictionary[int, Image.Image]] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Decoded:
    """Eight-bit pixels, not yet upright, of which each stands for `step` x `step` pixels of the picture."""

    image: Image.Image  # mode L or RGB
    step: int  # 1, 2, 4 or 8
    width: int  # of the whole picture as stored, in its own pixels
    height: int
    orientation: int
    format: str
    traits: EncodingMetadata


def decode(
    data: bytes, shrink: Callable[[int, int], float], max_pixels: int, ranges: Ranges = NO_RANGES
) -> Decoded | ReadError:
    """The first frame of the file; `shrink(width, height)` says how many times smaller it may be decoded."""
    kind = sniff(data)
    if isinstance(kind, ReadError):
        return kind
    _hush()
    try:
        image = _open(data, kind, max_pixels)
        if isinstance(image, ReadError):
            return image
        size = image.size
        step = _draft(image, shrink(*size)) if isinstance(image, JpegImageFile) else 1
        low = low_half(image, data) if ranges.deep not in (None, FULL) else None
        return _load(image, step, size, kind, ranges, low)
    # Pillow has no list of what its readers raise: damaged bytes end in anything from OSError to AssertionError.
    except Exception as error:
        return _refuse(error, kind, data)


def adopt(image: Image.Image, ranges: Ranges = NO_RANGES) -> Decoded | ReadError:
    """A PIL image of any mode, which is left as it is."""
    _hush()
    name = image.format or "array"
    try:
        with _LOADING:
            _read_once(image)
        return _load(image, 1, image.size, name, ranges)
    except Exception as error:  # it may still have to be read from its file
        return _refuse(error, name)


def _read_once(image: Image.Image) -> None:
    """Loads the image; one that failed fails again, where Pillow would hand out what it has of it."""
    if _BROKEN.get(id(image)) is image:
        raise OSError("it failed before")
    try:
        image.load()
    except Exception:
        _BROKEN[id(image)] = image
        raise


def extent_of(source: bytes | Image.Image | NDArray[Any], max_pixels: int) -> Extent | None:
    """How far the numbers of an image of more than eight bits reach; None for one of eight bits, or that cannot be used."""
    if isinstance(source, np.ndarray):
        return measure_array(source)
    _hush()
    try:
        if isinstance(source, bytes):
            return _extent(source, max_pixels)
        with _LOADING:
            _read_once(source)
        return measure(source) if source.width * source.height else None
    except Exception:  # as above; whoever decodes it tells why
        return None


def _extent(data: bytes, max_pixels: int) -> Extent | None:
    kind = sniff(data)
    image = kind if isinstance(kind, ReadError) else _open(data, kind, max_pixels)
    if isinstance(image, ReadError):
        return None
    twin, white = low_half(image, data), declared_white(image, data)
    image.load()
    return measure(image, None if twin is None else load_low(twin), white)


def _open(data: bytes, kind: Format, max_pixels: int) -> ImageFile.ImageFile | ReadError:
    """The reader of the file, which has decoded nothing yet."""
    if _PLAIN.match(data):  # Pillow takes out one comment after the other, each time with a copy of what is left
        data = re.sub(rb"#[^\r\n]*", b"", data)
    image = _READERS[kind](io.BytesIO(data))
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
        "too-large", f"The image is {width} x {height}, the limit of a side is {_LONGEST:,} pixels: cut it into parts."
    )


def _too_many_scans(image: JpegImageFile, data: bytes) -> ReadError | None:
    """A JPEG file whose colours do not share one scan is decoded once a scan: it has about 10, or as many as it likes."""
    header = 8 + 2 * image.layers  # of a scan with all colours: the reader stands behind the first
    at = image.fp.tell() - header if image.fp else 0
    if not image.info.get("progressive") and data[at : at + 2] == b"\xff\xda":
        return None
    scans = data.count(b"\xff\xda")
    most = min(_SCANS, max(_SCANS_OF_LARGE, int(_SCANNED // max(prod(image.size), 1))))
    if scans <= most:
        return None
    return ReadError("too-large", f"The JPEG file is coded in {scans:,} scans, the limit is {most}: export it anew.")


def _load(
    image: Image.Image,
    step: int,
    size: tuple[int, int],
    name: str,
    ranges: Ranges,
    low: ImageFile.ImageFile | None = None,
) -> Decoded | ReadError:
    image.load()
    if 0 in image.size:
        return ReadError("not-a-picture", f"The picture is {image.width} x {image.height}: it has no pixels.")
    if step == 1:
        size = image.size  # load() turns a TIFF file upright
    pixels = eight_bits(image, ranges, None if low is None else load_low(low))
    if isinstance(pixels, ReadError):
        return pixels
    return Decoded(pixels, step, *size, read_orientation(image.info), name, read_encoding_metadata(image))


def _tile(image: ImageFile.ImageFile) -> tuple[int, int]:
    """The size of a TIFF file's tiles: one is decoded whole, however small the picture."""
    return (
        (image.tag_v2.get(TILEWIDTH, 0), image.tag_v2.get(TILELENGTH, 0))
        if isinstance(image, TiffImageFile)
        else (0, 0)
    )


def _draft(image: JpegImageFile, shrink: float) -> int:
    """Have libjpeg decode at 1/2, 1/4 or 1/8, by leaving out high frequencies: seven times the speed on large photos."""
    step = next(step for step in (8, 4, 2, 1) if step <= max(shrink, 1))
    image.draft(None, (max(image.width // step, 1), max(image.height // step, 1)))
    return step


def _hush() -> None:
    """What a damaged file is worth is said by its refusal alone: no library writes to the terminal on its own."""
    _hush_libraries()
    for category, module in _CHATTY:
        if ("ignore", None, category, re.compile(module), 0) not in warnings.filters:
            warnings.filterwarnings("ignore", category=category, module=module)


@cache
def _hush_libraries() -> None:
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # who listens to Pillow's log still hears it
    # libtiff is one of the libraries that Pillow's core was linked with, and found through it, except on Windows.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _too_large(width: int, height: int, max_pixels: int) -> ReadError:
    size = f"{width} x {height} = {width * height / 1e6:.1f} megapixels"
    return ReadError(
        "too-large",
        f"The picture is {size}, the limit is {max_pixels / 1e6:g}: raise --max-megapixels or scale it down.",
    )


def _refuse(error: Exception, name: str, data: bytes = b"") -> ReadError:
    if isinstance(error, Image.DecompressionBombError):
        return ReadError("too-large", "Pillow refuses the picture for its size: scale it down.")
    if isinstance(error, MemoryError):
        return ReadError("too-large", "There is not enough memory for the picture: scale it down.")
    if _ends_early(data) or _CUT_SHORT.search(str(error)):
        return ReadError("truncated", f"The {name} file ends before the picture does: fetch it again.")
    text = str(error) or type(error).__name__
    return ReadError("damaged", f"The {name} file cannot be decoded ({text}): fetch it again or export it anew.")


def _ends_early(data: bytes) -> bool:
    """Whether a WebP file is shorter than it says, or a TIFF file ends before its directory: Pillow tells neither."""
    if data[:4] == b"RIFF":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:4] == b"II*\x00":
        return int.from_bytes(data[4:8], "little") >= len(data)
    return data[:4] == b"MM\x00*" and int.from_bytes(data[4:8], "big") >= len(data)
