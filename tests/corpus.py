"""A folder of every kind of bad or odd input, with the expected status of each path in it."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drawings import draw
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# The reason for an image with both labels: it is excluded from the fit, and is otherwise valid.
CONFLICT = "conflict"
_PLAIN = 12  # ordinary images per class, enough to fit
# How an upright image is stored so that each EXIF orientation turns it upright again.
_STORED = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
)
# 32 x 16, red beside blue, with arithmetic coding: made by `jpegtran -arithmetic`, as Pillow reads but cannot write it.
_ARITHMETIC = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b0a0b0b0d"
    "0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffdb00430103040405040509050509140d0b0d141414141414141414141414"
    "1414141414141414141414141414141414141414141414141414141414141414141414141414ffc90011080010002003011100021101031101ffcc00"
    "0a0010100501101105ffda000c03010002110311003f00ff00d9491c5412a27e0a326bac0f89df5f6b43c16028f220ffd9"
)


@dataclass(frozen=True, slots=True, eq=False)
class Odd:
    """A path below the corpus, and its expected status."""

    path: str
    code: str = ""  # why it is skipped; "" where it is used
    pixels: NDArray[Any] | None = None  # where it is used, (height, width, 3), to within the loss of JPEG


def lay_out(folder: Path) -> tuple[Odd, ...]:
    """Writes the corpus, with the classes `bars` and `rings`, and returns its paths, in no order.

    Some files and folders have mode 0: see `rights.ordinary_rights`.
    """
    cases = [*_ordinary_images(), *_odd_images(), *_unreadable_files(), *_odd_names()]
    for path, data, _ in cases:
        _write(folder / path, data)
    files = [Odd(path, result) if isinstance(result, str) else Odd(path, "", result) for path, _, result in cases]
    return (*files, *_junk(folder), *_links(folder), *_closed_paths(folder))


def draw_image(number: int) -> Image.Image:
    """Image `number` of rings, 64 x 48, without sharp edges, and different from all of its turned and mirrored versions."""
    return draw("rings", number).crop((0, 0, 64, 48)).filter(ImageFilter.GaussianBlur(1))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def one_colour(width: int, height: int) -> bytes:
    """A complete black PNG of 1 bit per pixel."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


Case = tuple[str, bytes, str | NDArray[Any]]  # path, bytes, reason code or pixels


def _ordinary_images() -> Iterator[Case]:
    for number in range(_PLAIN):
        for pattern in ("bars", "rings"):
            image = draw(pattern, number)
            yield f"{pattern}/{number}.png", encoded(image, "PNG"), np.asarray(image)


def _odd_images() -> Iterator[Case]:
    """Each of a different image: duplicates would be one group."""
    for number, (name, make) in enumerate(_ODD.items()):
        data, expected = make(draw_image(100 + number))
        yield f"rings/{name}", data, np.asarray(expected.convert("RGB"))
    for orientation, turn in enumerate(_STORED, 1):
        image, exif = draw_image(200 + orientation), Image.Exif()
        exif[0x0112] = orientation
        stored = image if turn is None else image.transpose(turn)
        yield f"bars/orientation-{orientation}.jpg", encoded(stored, "JPEG", quality=95, exif=exif), np.asarray(image)
    halves = Image.new("RGB", (32, 16), "red")
    halves.paste("blue", (16, 0, 32, 16))
    yield "bars/arithmetic.jpg", _ARITHMETIC, np.asarray(halves)
    yield "bars/1x1.png", encoded(Image.new("RGB", (1, 1), "teal"), "PNG"), np.array([[[0, 128, 128]]])
    yield "bars/1x5000.png", encoded(Image.new("RGB", (1, 5000), "navy"), "PNG"), np.full((5000, 1, 3), [0, 0, 128])


def _animated(image: Image.Image, format: str, **options: Any) -> tuple[bytes, Image.Image]:
    frames = [Image.new(image.mode, image.size), image.transpose(Image.Transpose.ROTATE_180)]
    return encoded(image, format, save_all=True, append_images=frames, **options), image


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L"))


def _fading(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The image, transparent on the right, and the same on white."""
    alpha = np.broadcast_to(np.linspace(255, 0, image.width), (image.height, image.width))[..., None] / 255
    faded = np.asarray(image) * alpha + 255 * (1 - alpha)
    image = image.copy()
    image.putalpha(Image.fromarray((alpha[..., 0] * 255).round().astype(np.uint8)))
    return image, Image.fromarray(faded.round().astype(np.uint8))


def _faded(image: Image.Image, mode: str) -> tuple[bytes, Image.Image]:
    transparent, expected = _fading(image.convert("L").convert("RGB") if mode == "LA" else image)
    return encoded(transparent.convert(mode), "PNG"), expected


def _palette(image: Image.Image) -> tuple[bytes, Image.Image]:
    indices = image.quantize(16)
    opaque = np.asarray(indices)[..., None] != 3
    expected = np.where(opaque, np.asarray(indices.convert("RGB")), 255)
    return encoded(indices, "PNG", transparency=3), Image.fromarray(expected.astype(np.uint8))


def _float(image: Image.Image) -> tuple[bytes, Image.Image]:
    """Values from 0 to 1: the range of others is unknown to a model that was trained on no such images."""
    grey = _grey(image)
    return encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"), Image.fromarray(grey)


def _jpeg(image: Image.Image, **options: Any) -> bytes:
    return encoded(image, "JPEG", quality=95, **options)


_ODD: dict[str, Callable[[Image.Image], tuple[bytes, Image.Image]]] = {
    "progressive.jpg": lambda image: (_jpeg(image, progressive=True), image),
    "junk behind.jpg": lambda image: (_jpeg(image) + b"junk" * 999, image),
    "junk behind.png": lambda image: (encoded(image, "PNG") + b"junk" * 999, image),
    "junk behind.gif": lambda image: (encoded(image.quantize(256), "GIF") + b"junk" * 999, image.quantize(256)),
    "junk behind.webp": lambda image: (encoded(image, "WEBP", lossless=True) + b"junk" * 999, image),
    "a png.jpg": lambda image: (encoded(image, "PNG"), image),
    "a jpeg.png": lambda image: (_jpeg(image), image),
    "no suffix": lambda image: (_jpeg(image), image),
    # inverted, and marked as such, as Adobe and Pillow store it
    "cmyk.jpg": lambda image: (_jpeg(image.convert("CMYK")), image),
    "grey.jpg": lambda image: (_jpeg(image.convert("L")), image.convert("L")),
    "16-bit.png": lambda image: (
        encoded(Image.fromarray(_grey(image).astype(np.uint16) * 257), "PNG"),
        image.convert("L"),
    ),
    "1-bit.png": lambda image: (encoded(image.convert("1"), "PNG"), image.convert("1")),
    "palette.png": _palette,
    "rgba.png": lambda image: _faded(image, "RGBA"),
    "la.png": lambda image: _faded(image, "LA"),
    "animated.gif": lambda image: _animated(image.quantize(256), "GIF"),
    "animated.webp": lambda image: _animated(image, "WEBP", lossless=True),
    "animated.png": lambda image: _animated(image, "PNG"),
    "pages.tif": lambda image: _animated(image, "TIFF"),
    "float.tif": _float,
    "corrupt exif.jpg": lambda image: (_jpeg(image, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40), image),
    "broken icc.jpg": lambda image: (_jpeg(image, icc_profile=b"no profile"), image),
    "broken icc.png": lambda image: (encoded(image, "PNG", icc_profile=b"no profile"), image),
}


def _unreadable_files() -> Iterator[Case]:
    image, palette = draw_image(300), draw_image(300).quantize(256)
    for name, data in {
        "jpg": _jpeg(image),
        "progressive.jpg": _jpeg(image, progressive=True),
        "png": encoded(image, "PNG"),
        "webp": encoded(image, "WEBP"),
        "gif": encoded(palette, "GIF"),
        "tif": encoded(image, "TIFF"),
        "bmp": encoded(image, "BMP"),
        "avif": encoded(image, "AVIF"),
    }.items():
        yield f"bars/truncated.{name}", data[: len(data) * 2 // 3], "truncated"
    yield "bars/no bytes.jpg", b"", "empty-file"
    yield "bars/text.jpg", b"Dear diary,\n", "not-an-image"
    yield "bars/page.jpg", b"<!DOCTYPE html>\n<html><title>404</title></html>\n", "not-an-image"
    yield "bars/drawing.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported-format"
    yield "bars/drawing with a header.jpg", b'<?xml version="1.0"?>\n<!-- x -->\n<svg/>', "unsupported-format"
    yield "bars/paper.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "unsupported-format"
    yield "bars/photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400), "unsupported-format"
    yield "bars/100-megapixels.png", one_colour(10_000, 10_000), "too-large"
    yield "bars/large tile.tif", _large_tile(8_000), "too-large"
    for suffix, data in _bombs().items():
        yield f"bars/bomb.{suffix}", data, "too-large"


def _bombs() -> dict[str, bytes]:
    """Files whose headers declare 30,000 x 30,000 pixels."""
    png = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    png[16:33] = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0) + struct.pack(">I", 0)
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    jpeg = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg[size : size + 4] = struct.pack(">HH", 30_000, 30_000)
    gif = bytearray(encoded(Image.new("L", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", 30_000, 30_000)
    bmp = bytearray(encoded(Image.new("L", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<II", 30_000, 30_000)
    return {"png": bytes(png), "jpg": bytes(jpeg), "gif": bytes(gif), "bmp": bytes(bmp)}


def _large_tile(side: int) -> bytes:
    """A grey TIFF of 8 x 8 pixels, in one tile of `side` x `side`."""
    packer = zlib.compressobj(1)
    tile = b"".join(packer.compress(bytes(side)) for _ in range(side)) + packer.flush()
    tags = {
        256: 8,
        257: 8,
        258: 8,
        259: 8,
        262: 1,
        277: 1,
        322: side,
        323: side,
        324: 8 + 2 + 12 * 10 + 4,
        325: len(tile),
    }
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + tile


def _odd_names() -> Iterator[Case]:
    """Odd names, an image of nearly 50 megapixels, and an image with both labels."""
    names = ("bars/same.png", "rings/same.png", "rings/two\nlines.png", "rings/a.jpg/in a folder.png")
    for number, path in enumerate(
        (*names, os.fsdecode(b"rings/caf\xe9.png"), 'rings/"quoted", twice.png', "rings/π.png")
    ):
        yield path, encoded(draw_image(400 + number), "PNG"), np.asarray(draw_image(400 + number))
    yield "bars/49 megapixels.png", one_colour(7000, 7000), ""
    for label in ("bars", "rings"):
        yield f"{label}/with both labels.png", encoded(draw_image(450), "PNG"), CONFLICT


def _junk(folder: Path) -> Iterator[Odd]:
    """Files left behind by systems and tools; a folder of them has one row."""
    for path in ("bars/._0.png", "bars/.DS_Store", "rings/Thumbs.db", ".hidden.png"):
        _write(folder / path, b"\0\x05\x16\x07")
        yield Odd(path, "junk")
    for path in ("__MACOSX", "rings/__MACOSX", "rings/.ipynb_checkpoints"):
        _write(folder / path / "0-checkpoint.png", encoded(draw("rings", 0), "PNG"))
        yield Odd(path, "junk")
    _write(folder / "list.txt", b"beside the classes")
    yield Odd("list.txt", "outside-classes")
    (folder / "rings/empty folder.jpg").mkdir()  # without a file, so without a row


def _links(folder: Path) -> Iterator[Odd]:
    outside = folder.with_name(folder.name + " outside")
    for number, name in enumerate(("a.png", "folder/b.png")):
        _write(outside / name, encoded(draw_image(500 + number), "PNG"))
    links = {
        "rings/link.png": "0.png",
        "rings/link out.png": outside / "a.png",
        "rings/folder out": outside / "folder",
        "rings/link to nothing.png": "nowhere.png",
        "rings/link to itself.png": "link to itself.png",
        "rings/circle": "..",
    }
    for path, target in links.items():
        (folder / path).symlink_to(target)
    yield Odd("rings/link.png", "", np.asarray(draw("rings", 0)))
    yield Odd("rings/link out.png", "", np.asarray(draw_image(500)))
    yield Odd("rings/folder out/b.png", "", np.asarray(draw_image(501)))
    yield Odd("rings/link to nothing.png", "missing")
    yield Odd("rings/link to itself.png", "unreadable")
    yield Odd("rings/circle", "loop")
    os.mkfifo(folder / "rings/pipe.png")
    yield Odd("rings/pipe.png", "not-a-file")


def _closed_paths(folder: Path) -> Iterator[Odd]:
    for path in ("rings/closed.png", "rings/closed/0.png", "rings/listed only/0.png"):
        _write(folder / path, encoded(draw_image(600), "PNG"))
    for path, mode in (("rings/closed.png", 0), ("rings/closed", 0), ("rings/listed only", 0o400)):
        (folder / path).chmod(mode)
    yield Odd("rings/closed.png", "unreadable")
    yield Odd("rings/closed", "unreadable")
    yield Odd("rings/listed only/0.png", "unreadable")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
