"""Files with more than eight bits, some of kinds that Pillow reads but does not write."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Numbers = NDArray[np.uint16]


def png(numbers: Numbers, significant: int | None = None) -> bytes:
    """A 16-bit PNG file of (h, w) or (h, w, 2 to 4) values; `significant` bits are declared in its sBIT chunk."""
    channels = 1 if numbers.ndim == 2 else numbers.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in numbers)
    header = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], 16, kind, 0, 0, 0)
    sbit = b"" if significant is None else chunk(b"sBIT", bytes([significant] * channels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + sbit + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND")


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "TIFF", **options)
    return file.getvalue()


def tiff_in_colour(numbers: Numbers, order: str = "<", *, packed: bool = False) -> bytes:
    """A TIFF file of (h, w, 3) 16-bit values, in either byte order, uncompressed or deflated."""
    height, width = numbers.shape[:2]
    pixels = numbers.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    short, long = 3, 4
    bits, begin = 8 + 2 + 9 * 12 + 4, 8 + 2 + 9 * 12 + 4 + 6
    entries = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, bits),
        (259, short, 1, 8 if packed else 1),
        (262, short, 1, 2),
        (273, long, 1, begin),
        (277, short, 1, 3),
        (278, long, 1, height),
        (279, long, 1, len(pixels)),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        inline = kind == short and count == 1
        head += struct.pack(f"{order}HHI", tag, kind, count)
        head += struct.pack(f"{order}HH", value, 0) if inline else struct.pack(f"{order}I", value)
    return head + struct.pack(f"{order}I", 0) + struct.pack(f"{order}3H", 16, 16, 16) + pixels


def pnm(numbers: Numbers, greatest: int = 65_535) -> bytes:
    """A binary PGM or PPM file."""
    name, (height, width) = ("P5" if numbers.ndim == 2 else "P6"), numbers.shape[:2]
    return f"{name}\n# drawn\n{width} {height}\n{greatest}\n".encode() + numbers.astype(">u2").tobytes()
