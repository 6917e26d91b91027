"""Files to bytes, and bytes to a file format, by content; a name is never trusted."""

from pathlib import Path
from stat import S_ISREG
from typing import Final, Literal

from twofold.data.archives import read_member
from twofold.data.refusals import Refusal

Format = Literal["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"]

# 50 megapixels at 16 bits a channel take 400 MB uncompressed; what is larger is a film, an archive or the like.
MAX_BYTES: Final = 500_000_000

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
# What people do have among their pictures, and is not read here: said by name.
_NAMED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"8BPS", "a Photoshop file"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"%PDF", "a PDF"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"FUJIFILM", "a camera's raw file"),
    (b"<svg", "an SVG drawing"),
)
_PAGES: Final = (b"<!doctype html", b"<html")
_HEIC: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def read_bytes(path: Path, *, most: int = MAX_BYTES) -> bytes | Refusal:
    """The bytes of a regular file, or of one inside an archive; pipes and devices are refused rather than waited for."""
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            return Refusal("not-a-file", "This is a folder or a device, not a file: name a picture.")
        if status.st_size > most:
            return Refusal(
                "too-large", f"The file has {status.st_size:,} bytes, the limit is {most:,}: make it smaller."
            )
        return _read(path, status.st_size, most)
    except (FileNotFoundError, NotADirectoryError):
        found = read_member(path, most)
        return found if found is not None else Refusal("missing", "There is no such file: check the path.")
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = getattr(error, "strerror", None) or error
        return Refusal("unreadable", f"The file cannot be read ({why}): check its permissions.")


def _read(path: Path, size: int, most: int) -> bytes | Refusal:
    """The file may have grown since its size was looked at: of what came since, no more than the limit is read."""
    with path.open("rb") as file:
        data = file.read(size + 1)
        if len(data) > size:
            data += file.read(most + 1 - len(data))
    if len(data) > most:
        return Refusal("too-large", f"The file grew beyond {most:,} bytes, the limit: wait until it is whole.")
    return data


def sniff(data: bytes) -> Format | Refusal:
    """The format of the bytes by how they begin, or why they are no picture that is read here."""
    if not data:
        return Refusal("empty-file", "The file has no bytes: fetch it again.")
    for magic, name in _READ:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _sniff_ftyp(data)
    for magic, what in _NAMED:
        if data.startswith(magic):
            return Refusal("unsupported-format", f"This is {what}: export it as JPEG or PNG.")
    if data[:512].lstrip().startswith(b"<?xml") and b"<svg" in data[:4096]:
        return Refusal("unsupported-format", "This is an SVG drawing: export it as JPEG or PNG.")
    if data[:512].lstrip().lower().startswith(_PAGES):
        return Refusal("not-a-picture", "This is a web page, as a failed download leaves one: fetch the picture again.")
    return Refusal("not-a-picture", "The bytes are not those of a JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF file.")


def _sniff_ftyp(data: bytes) -> Format | Refusal:
    """ISO media files (AVIF, HEIC, MP4) begin with a box of brands: the major one, a version, the compatible ones."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIC:
        return Refusal(
            "unsupported-format", "This is a HEIC photo: export it as JPEG, or convert it with heif-convert."
        )
    return Refusal("not-a-picture", "This is a film or sound file, not a picture.")
