"""The orientation comes from EXIF wherever it is stored, else from XMP, as in Pillow's ImageOps.exif_transpose."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from deepfiles import chunk
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from twofold.data import ReadError, open_image
from twofold.data.orientation import read_orientation

Encode = Callable[..., bytes]
ATTRIBUTE = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}" tiff:Make="x"/></x:xmpmeta>'
ELEMENT = "<x:xmpmeta><rdf:Description><tiff:Orientation>{}</tiff:Orientation></rdf:Description></x:xmpmeta>"
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}
NUMBERS = [*range(10)]


def exif_of(number: int, kind: int = 3, order: str = "<") -> bytes:
    """EXIF data with only an orientation, stored as this type of number."""
    value = struct.pack(order + {3: "Hxx", 4: "I", 8: "hxx", 9: "i"}[kind], number)
    return (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}IHHHI", 8, 1, 0x0112, kind, 1)
        + value
        + bytes(4)
    )


def agrees_with_pillow(data: bytes) -> bool:
    """Whether the image is turned as Pillow turns it."""
    image = open_image(data)
    assert not isinstance(image, ReadError), image
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    return np.array_equal(image, expected)


def is_turned(data: bytes, plain: bytes) -> bool:
    image, original = open_image(data), open_image(plain)
    assert not isinstance(image, ReadError)
    assert not isinstance(original, ReadError)
    return image.shape != original.shape or not np.array_equal(image, original)


def png_with(text: str, name: str, photo: Image.Image, *, packed: bool = False) -> bytes:
    info = PngInfo()
    (info.add_text if name.startswith("Raw") else info.add_itxt)(name, text, zip=packed)
    file = io.BytesIO()
    photo.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def raw_profile(data: bytes, kind: str) -> str:
    """The profile as ImageMagick writes it."""
    lines = [data.hex()[at : at + 72] for at in range(0, 2 * len(data), 72)]
    return f"\n{kind}\n{len(data):8}\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("packet", [ATTRIBUTE, ELEMENT], ids=["attribute", "element"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_orientation_of_xmp_is_followed(format: str, packet: str, encode: Encode, photo: Image.Image) -> None:
    options = LOSSLESS.get(format, {"quality": 90})
    plain = encode(photo, format, **options)
    for number in NUMBERS:
        text = packet.format(number)
        if format == "PNG":
            data = png_with(text, "XML:com.adobe.xmp", photo)
        elif format == "TIFF":
            data = encode(photo, format, tiffinfo={700: text.encode()})
        else:
            data = encode(photo, format, xmp=text.encode(), **options)
        assert agrees_with_pillow(data), number
        assert is_turned(data, plain) == (2 <= number <= 8), number


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4, 8, 9])
def test_the_orientation_of_exif_is_followed_however_it_is_stored(
    kind: int, order: str, encode: Encode, photo: Image.Image
) -> None:
    for format in ("JPEG", "PNG", "WEBP", "AVIF"):
        options = LOSSLESS.get(format, {"quality": 90})
        for number in NUMBERS:
            data = encode(photo, format, exif=b"Exif\0\0" + exif_of(number, kind, order), **options)
            if format == "AVIF" and kind != 3:  # Pillow's writer removes it
                continue
            assert agrees_with_pillow(data), (format, number)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_the_profile_of_imagemagick_is_followed(name: str, packed: bool, photo: Image.Image) -> None:
    for number in NUMBERS:
        data = b"Exif\0\0" + exif_of(number, order=">")
        file = png_with(raw_profile(data, name), f"Raw profile type {name}", photo, packed=packed)
        reference = png_with(raw_profile(data, "exif"), "Raw profile type exif", photo)
        assert agrees_with_pillow(reference)
        image, expected = open_image(file), open_image(reference)
        assert not isinstance(image, ReadError)
        assert np.array_equal(image, expected)
    assert image.shape == np.asarray(photo).shape


def test_an_exif_chunk_behind_the_pixels_is_followed(encode: Encode, photo: Image.Image) -> None:
    data = encode(photo, "PNG")
    turned = data[:-12] + chunk(b"eXIf", exif_of(6)) + data[-12:]
    assert agrees_with_pillow(turned)
    assert is_turned(turned, data)


def test_exif_comes_before_xmp(encode: Encode, photo: Image.Image) -> None:
    for exif, xmp in ((1, 6), (6, 3), (0, 8), (9, 2)):
        metadata = {"exif": b"Exif\0\0" + exif_of(exif), "xmp": ATTRIBUTE.format(xmp).encode()}
        for format in ("JPEG", "WEBP"):
            assert agrees_with_pillow(encode(photo, format, **metadata)), (exif, xmp, format)
    without = b"Exif\0\0" + exif_of(5).replace(struct.pack("<H", 0x0112), struct.pack("<H", 0x0110))
    data = encode(photo, "JPEG", exif=without, xmp=ATTRIBUTE.format(6).encode())
    assert agrees_with_pillow(data)
    assert is_turned(data, encode(photo, "JPEG"))


@pytest.mark.parametrize(
    "packet", ["tiff:Orientation='8'", 'tiff:Orientation = "8"', "<tiff:Orientation>\n 8 </tiff:Orientation>"]
)
def test_xmp_is_read_in_any_notation_of_xml(packet: str) -> None:
    assert read_orientation({"xmp": packet.encode()}) == 8
    assert read_orientation({"XML:com.adobe.xmp": packet}) == 8


@pytest.mark.parametrize(
    "info",
    [
        {"xmp": b""},
        {"xmp": 7},
        {"xmp": b'tiff:Orientation="x"'},
        {"xmp": b'tiff:Orientation="'},
        {"XML:com.adobe.xmp": "\udcff tiff:Orientation="},
        {"Raw profile type exif": "no lines"},
        {"Raw profile type exif": "\n\n\nzz"},
        {"Raw profile type APP1": raw_profile(b"http://ns.adobe.com/xap/1.0/", "APP1")},
        {"Raw profile type exif": b"bytes"},
        {"exif": b"", "xmp": None},
    ],
)
def test_odd_metadata_mean_upright(info: dict[str, Any]) -> None:
    assert read_orientation(info) == 1


def test_a_hostile_packet_is_searched_up_to_a_limit() -> None:
    for filling in (b"tiff:Orientation", b" "):
        packet = b"tiff:Orientation" + filling * (1_000_000 // len(filling)) + b'="6"'
        assert read_orientation({"xmp": packet}) == read_orientation({"xmp": packet * 80}) == 1
