"""Files to bytes, and bytes to a file format; the format is decided by content, never by name."""

import re
from pathlib import Path
from stat import S_ISREG
from typing import Final, Literal

from twofold.core.files import EmptyFileError, NotAFileError, TooLargeError, read_file
from twofold.data.archives import read_member
from twofold.data.orientation import tags
from twofold.data.read_errors import ReadError

Format = Literal["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM"]

# 50 megapixels at 16 bits per channel take 400 MB uncompressed; a larger file is a video, an archive or similar.
MAX_BYTES: Final = 500_000_000
_HEAD: Final = 512  # bytes that hold the format and, except in TIFF files, the depth

_EXPORT: Final = "export it as JPEG or PNG"
_JPEG_LS: Final = b"\xff\xd8\xff\xf7"
_RAW: Final = "a camera's raw file"
_READ: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_PNM: Final = re.compile(rb"P[1-6f][\s#]")
# Formats that are common among images and not supported: (offset, signature, name).
_NAMED: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (0, b"II\xbc\x01", "a JPEG XR file"),
    (0, b"\x00\x00\x01\x00", "an icon file"),
    (0, b"icns", "an icon file"),
    (0, b"v/1\x01", "an OpenEXR file"),
    (0, b"#?RADIANCE", "a Radiance HDR file"),
    (0, b"#?RGBE", "a Radiance HDR file"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"\x01\xda\x00\x01", "an SGI image"),
    (0, b"\x01\xda\x00\x02", "an SGI image"),
    (0, b"\x01\xda\x01\x01", "an SGI image"),
    (0, b"\x01\xda\x01\x02", "an SGI image"),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster image"),
    (0, b"P7\n", "a PAM image"),
    (0, b"PF\n", "a PFM image in colour"),
    (0, b"qoif", "a QOI image"),
    (0, b"BPG\xfb", "a BPG image"),
    (0, b"FLIF", "a FLIF image"),
    (0, b"AT&TFORM", "a DjVu file"),
    (0, b"gimp xcf ", "a GIMP file"),
    (0, b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"FUJIFILM", _RAW),
    (0, b"IIRO", _RAW),
    (0, b"IIRS", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\x00", _RAW),
    (0, b"\x00MRM", _RAW),
    (0, b"FOVb", _RAW),
    (0, b"IIII", _RAW),
    (0, b"MMMM", _RAW),
    (6, b"HEAPCCDR", _RAW),
)
# The same for formats of measurements, with advice.
_SCALED: Final = "export it as PNG, with the same black and white for all images"
_NUMBERS: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (128, b"DICM", "a DICOM file", _SCALED),
    (0, b"SIMPLE  =", "a FITS file", _SCALED),
    (344, b"n+1\x00", "a NIfTI file", _SCALED),
    (344, b"ni1\x00", "a NIfTI file", _SCALED),
    (4, b"n+2\x00", "a NIfTI file", _SCALED),
    (0, b"NRRD000", "an NRRD file", _SCALED),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export its images as PNG"),
    (0, b"\x93NUMPY", "a NumPy array", "load it and pass the array, or save its images as PNG"),
    (0, b"MATLAB ", "a MATLAB file", "export its images as PNG"),
    (0, b"\x1f\x8b", "a gzip file", "unpack it"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the image itself", "run 'git lfs pull'"),
)
_PCX: Final = re.compile(rb"\n[\x00\x02-\x05]\x01[\x01\x02\x04\x08]", re.DOTALL)
# TGA has no signature at its beginning, newer files have one at the end. The header: no palette, the type of pixels, four
# numbers of two bytes, the bits per pixel.
_TGA: Final = re.compile(rb".\x00[\x02\x03\x0a\x0b]\x00{5}.{8}[\x08\x0f\x10\x18\x20][\x00-\x3f]", re.DOTALL)
_TGA_END: Final = b"TRUEVISION-XFILE.\x00"
_SHORT: Final = 3
_SUBFILE, _PHOTOMETRIC, _DNG_VERSION = 254, 262, 50706  # tags of TIFF
_SENSOR: Final = (32803, 34892)  # photometric interpretations: values of the sensor instead of colours
_MARKUP: Final = ((b"<svg", b"<!doctype svg"), (b"<!doctype html", b"<html"))  # drawings; pages
_HEIC: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def read_bytes(path: Path, *, limit: int = MAX_BYTES) -> bytes | ReadError:
    """The bytes of a regular file, or of a file inside an archive, at most `limit`; a read error for pipes and devices."""
    try:
        return read_file(path, limit)
    except EmptyFileError:
        return b""
    except NotAFileError:
        return ReadError("not-a-file", "This is a folder or a device, not a file: give the path of an image.")
    except TooLargeError as error:
        return ReadError("too-large", f"The file cannot be read: {error}; make it smaller.")
    except (FileNotFoundError, NotADirectoryError):
        data = read_member(path, limit)
        return data if data is not None else ReadError("missing", "There is no such file: check the path.")
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        cause = getattr(error, "strerror", None) or error
        return ReadError("unreadable", f"The file cannot be read ({cause}): check its permissions.")


def read_head(path: Path) -> bytes:
    """The first bytes of a file, all bytes of a TIFF file or of a file inside an archive; empty where it cannot be read."""
    try:
        if not S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        head = b""
    if not head or is_tiff(head):
        data = read_bytes(path)
        return data if isinstance(data, bytes) else b""
    return head


def is_tiff(data: bytes) -> bool:
    """Whether the bytes begin as a TIFF or BigTIFF file does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def sniff(data: bytes) -> Format | ReadError:
    """The format of the bytes, or a read error where they are not an image of a supported format."""
    if not data:
        return ReadError("empty-file", "The file has no bytes: fetch it again.")
    if data.startswith(_JPEG_LS):
        return _unsupported("a JPEG-LS file")
    for magic, name in _READ:
        if data.startswith(magic):
            return _raw() if name == "TIFF" and _is_raw(data) else name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _sniff_ftyp(data)
    if _PNM.match(data):
        return "PPM"
    return _find_unsupported(data) or _sniff_text(data)


def _find_unsupported(data: bytes) -> ReadError | None:
    """The read error that names an unsupported format; None for unknown bytes."""
    for offset, magic, name in _NAMED:
        if data.startswith(magic, offset):
            return _unsupported(name)
    for offset, magic, name, advice in _NUMBERS:
        if data.startswith(magic, offset):
            return _unsupported(name, advice)
    if _PCX.match(data):
        return _unsupported("a PCX image")
    return _unsupported("a TGA image") if data.endswith(_TGA_END) or _TGA.match(data) else None


def _unsupported(name: str, advice: str = _EXPORT) -> ReadError:
    return ReadError("unsupported-format", f"This is {name}: {advice}.")


def _raw() -> ReadError:
    return _unsupported(f"{_RAW}, or another TIFF file that begins with a small preview")


def _is_raw(data: bytes) -> bool:
    """Whether the first image of a TIFF file is a preview, or holds the values of a camera's sensor."""
    if data[8:10] == b"CR":  # Canon's
        return True
    for order, tag, kind, _, value in tags({"exif": data}):
        number = int.from_bytes(value[: 2 if kind == _SHORT else 4], "little" if order == "<" else "big")
        if tag == _DNG_VERSION or (tag == _SUBFILE and number & 1) or (tag == _PHOTOMETRIC and number in _SENSOR):
            return True
    return False


def _sniff_text(data: bytes) -> ReadError:
    """The read error for bytes without a known signature, which may be text with a byte order mark."""
    text = data[:4096].removeprefix(b"\xef\xbb\xbf")
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text.decode("utf-16", "ignore").encode()
    text = text.lstrip().lower()
    if text.startswith(b"<"):
        drawing, page = (min((at for tag in names if (at := text.find(tag)) >= 0), default=None) for names in _MARKUP)
        if drawing is not None and (page is None or drawing < page):
            return _unsupported("an SVG drawing")
        if page is not None:
            return ReadError(
                "not-an-image", "This is a web page, as a failed download leaves one: fetch the image again."
            )
    return ReadError("not-an-image", "The bytes are not those of a JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF or PPM file.")


def _sniff_ftyp(data: bytes) -> Format | ReadError:
    """The format of an ISO media file, such as AVIF, HEIC or MP4, by its brands: a major one, a version, compatible ones."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if data[8:12] == b"crx ":
        return _unsupported(_RAW)
    if brands & _HEIC:
        return ReadError(
            "unsupported-format", "This is a HEIC photo: export it as JPEG, or convert it with heif-convert."
        )
    return ReadError("not-an-image", "This is a video or sound file, not an image.")
