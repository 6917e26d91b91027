"""Decoding leaves the process of the caller as it is, and is silent."""

import ctypes
import io
import struct
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from data.fuzz import mutate, samples
from deepfiles import chunk
from PIL import Image, TiffImagePlugin, _imaging
from PIL.GifImagePlugin import GifImageFile

from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.data.readers import READERS, quiet_libtiff

Encode = Callable[..., bytes]
PREPROCESSING = Preprocessing(16, integer_range=(100, 60_000), float_range=(0.0, 255.0))
VALID = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", 0x0110, 2, 4, b"ABC") + bytes(4)
# A directory whose one value is beyond the end of the data, and one with two values for a tag that has one.
BEYOND = b"II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\0\0\0\0\0\0"
TWO_VALUES = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 2, 6, 6) + bytes(4)


def odd_files(encode: Encode, photo: Image.Image) -> dict[str, bytes]:
    """Files about which Pillow warns, and which have all of their pixels."""
    files = {}
    for name, exif in (("beyond", BEYOND), ("two values", TWO_VALUES)):
        plain = encode(photo, "JPEG")
        app1 = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
        files[f"JPEG {name}"] = plain[:2] + app1 + plain[2:]
        # Pillow's writer would warn, so its file gets the odd data afterwards.
        files[f"AVIF {name}"] = encode(photo, "AVIF", exif=VALID).replace(VALID, exif)
    png = encode(photo, "PNG")
    files["PNG without frames"] = png[:33] + chunk(b"acTL", bytes(8)) + png[33:]
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    files["PNG with two controls"] = png[:33] + control * 2 + png[33:]
    for compression in (None, "tiff_lzw"):
        tiff = bytearray(encode(photo, "TIFF", compression=compression, tiffinfo={305: "a name that is stored apart"}))
        entry = tiff.index(struct.pack("<HH", 305, 2))
        tiff[entry + 4 : entry + 8] = struct.pack("<I", 1_000_000)
        files[f"TIFF {compression}"] = bytes(tiff)
    return files


def test_odd_metadata_give_no_warning_whatever_the_filters(encode: Encode, photo: Image.Image) -> None:
    for name, data in odd_files(encode, photo).items():
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            assert isinstance(preprocess(data, PREPROCESSING), PreprocessedImage), name
            assert warnings.filters == before
        assert messages == [], name


def test_damaged_files_give_no_warning_and_change_no_filter() -> None:
    files = samples()
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        for number in range(1500):
            preprocess(mutate(np.random.default_rng([20, number]), files), PREPROCESSING, max_pixels=1_000_000)
        assert warnings.filters == before
    assert messages == []


def test_the_readers_of_pillow_still_warn(encode: Encode, photo: Image.Image) -> None:
    for name, data in odd_files(encode, photo).items():
        preprocess(data, PREPROCESSING)
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        assert messages or name == "JPEG two values", name  # of which Pillow does not read the tag
    assert READERS["TIFF"] is not TiffImagePlugin.TiffImageFile
    assert type(Image.open(io.BytesIO(encode(photo, "TIFF")))) is TiffImagePlugin.TiffImageFile


def test_a_large_frame_or_tile_gives_no_warning(
    encode: Encode, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    gif = encode(photo.quantize(16), "GIF")
    frame = b"\x2c" + struct.pack("<4H", 0, 0, *photo.size)
    gif = gif.replace(frame, b"\x2c" + struct.pack("<4H", 0, 0, photo.width, photo.height + 1))
    tiff = encode(photo, "TIFF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", photo.width * photo.height - 1)
    for data in (gif, tiff):
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            preprocess(data, PREPROCESSING)
        assert messages == []
    with pytest.warns(Image.DecompressionBombWarning):
        GifImageFile(io.BytesIO(gif))


def test_the_error_handler_of_libtiff_is_put_back(
    encode: Encode, photo: Image.Image, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        set_handler: Any = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        pytest.skip("Pillow's libtiff cannot be reached here")
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p

    def handler() -> int | None:
        address: int | None = set_handler(None)
        set_handler(address)
        return address

    before = handler()
    assert before is not None
    packed = encode(photo, "TIFF", compression="tiff_lzw")
    damaged = [packed[:12] + bytes(40) + packed[52:], packed[:8] + b"\xff" * 60 + packed[68:]]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: preprocess(data, PREPROCESSING), [packed, *damaged] * 100))
    assert capfd.readouterr() == ("", "")
    assert handler() == before
    with quiet_libtiff(), quiet_libtiff():
        assert handler() is None
    assert handler() == before
