"""Preprocessing: the model input of files, PIL images and arrays."""

import io
import itertools
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawings import draw
from numpy.typing import NDArray
from PIL import Image, ImageOps

from twofold.data import PreprocessedImage, Preprocessing, ReadError, open_image, preprocess
from twofold.data.decoding import decode

Encode = Callable[..., bytes]
Files = dict[str, bytes]
PREPROCESSING = Preprocessing(16)
# How an upright image is stored so that each EXIF orientation turns it upright again.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def preprocessed(source: Any, preprocessing: Preprocessing = PREPROCESSING, **options: Any) -> PreprocessedImage:
    result = preprocess(source, preprocessing, **options)
    assert isinstance(result, PreprocessedImage), result
    return result


def read_error(source: Any, **options: Any) -> ReadError:
    result = preprocess(source, PREPROCESSING, **options)
    assert isinstance(result, ReadError)
    return result


def pixels_of(source: Any) -> NDArray[np.int64]:
    result = open_image(source)
    assert not isinstance(result, ReadError), result
    return result.astype(np.int64)


def colour(source: Any) -> list[int]:
    return [int(value) for value in pixels_of(source)[0, 0]]


def test_every_format_gives_the_same_image(files: Files, photo: Image.Image) -> None:
    expected = {"colour": np.asarray(photo), "grey": np.asarray(photo.convert("L").convert("RGB"))}
    for name, data in files.items():
        kind = "grey" if name in ("grey jpeg", "16-bit png") else "colour"
        assert np.abs(pixels_of(data) - expected[kind]).mean() < 9, name


def test_a_preprocessed_image_has_its_size_format_and_a_contiguous_model_input(files: Files) -> None:
    names = {
        "jpeg": "JPEG",
        "png": "PNG",
        "webp": "WEBP",
        "bmp": "BMP",
        "gif": "GIF",
        "tiff": "TIFF",
        "avif": "AVIF",
        "ppm": "PPM",
    }
    for name, data in files.items():
        result = preprocessed(data)
        assert (result.width, result.height, result.format) == (48, 32, names[name.split()[-1]]), name
        assert result.model_input.shape == (16, 16, 3)
        assert result.model_input.dtype == np.uint8
        assert result.model_input.flags.c_contiguous


def test_the_first_frame_of_an_animation_is_taken(encode: Encode) -> None:
    frames = [Image.new("RGB", (8, 8), name) for name in ("red", "blue")]
    for format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        red, green, blue = colour(encode(frames[0], format, save_all=True, append_images=frames[1:]))
        assert (red > 240, green < 15, blue < 15) == (True, True, True), format


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_image_is_turned_upright(format: str, orientation: int, encode: Encode, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format in ("JPEG", "AVIF") else {}
    data = encode(photo.transpose(STORED[orientation]), format, exif=exif, **options)
    assert np.abs(pixels_of(data) - np.asarray(photo)).mean() < (6 if options else 0.01)
    result = preprocessed(data, Preprocessing(16, "pad"))
    assert (result.width, result.height) == (48, 32)
    expected = preprocessed(photo, Preprocessing(16, "pad")).model_input.astype(int)
    assert np.abs(result.model_input - expected).mean() < 5


def test_an_illegal_orientation_is_ignored(encode: Encode, photo: Image.Image) -> None:
    for exif in (
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x09\0\0\0\xff\xff\0\0",  # its value is beyond the end
        b"junk",
    ):
        assert preprocessed(encode(photo, "JPEG", exif=exif)).width == 48


def test_tags_that_each_claim_a_long_file_are_not_copied(encode: Encode, photo: Image.Image) -> None:
    directory = b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x010F, 2, 2**32 - 1, 0) * 65_535
    result = preprocessed(
        encode(photo, "PNG", exif=b"Exif\0\0" + directory + bytes(4_000_000))
    )  # 300 GB, if each were copied
    assert result.width == 48


def test_odd_metadata_gives_no_warning(encode: Encode, photo: Image.Image) -> None:
    # a directory of one tag whose data are beyond the end: Pillow's own parser warns about it
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\0\0\0\0\0\0"
    plain = encode(photo, "JPEG")
    apps = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert preprocessed(plain[:2] + apps + plain[2:]).format == "JPEG"


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (255, 0, 0, 255), [255, 0, 0]),
        ("RGBA", (0, 0, 0, 128), [127, 127, 127]),
        ("LA", (0, 0), [255, 255, 255]),
        ("La", (0, 0), [255, 255, 255]),
        ("PA", (0, 0), [255, 255, 255]),
        ("1", 1, [255, 255, 255]),
        ("1", 0, [0, 0, 0]),
        ("L", 7, [7, 7, 7]),
        ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
        ("YCbCr", (255, 128, 128), [255, 255, 255]),
        ("HSV", (0, 255, 255), [255, 0, 0]),
        ("I;16", 65535, [255, 255, 255]),
        ("I;16", 257 * 100, [100, 100, 100]),
        ("I;16", 128, [0, 0, 0]),
        ("I;16B", 257 * 100, [100, 100, 100]),
    ],
)
def test_every_mode_becomes_rgb(mode: str, value: Any, expected: list[int]) -> None:
    assert colour(Image.new(mode, (4, 4), value)) == expected


def test_a_palette_with_transparency_is_drawn_on_white(encode: Encode) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    assert colour(encode(image, "PNG")) == [200, 0, 0]
    assert colour(encode(image, "PNG", transparency=1)) == [255, 255, 255]
    assert colour(encode(image, "PNG", transparency=bytes([255, 0]))) == [255, 255, 255]
    assert colour(encode(image, "GIF", transparency=1)) == [255, 255, 255]
    assert colour(encode(Image.new("RGB", (4, 4), "blue"), "PNG", transparency=(0, 0, 255))) == [255, 255, 255]


def test_inverted_cmyk_of_adobe_is_read(encode: Encode) -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert b"Adobe" in data
    red, green, blue = colour(data)
    assert (red > 245, green < 10, blue < 10) == (True, True, True)


def test_nan_counts_as_black() -> None:
    ramp = np.array([[np.nan, 1, 2, np.inf, -np.inf]], dtype=np.float32)
    preprocessing = Preprocessing(5, "squash", "bilinear", float_range=(1.0, 2.0))
    assert preprocessed(Image.fromarray(ramp), preprocessing).model_input[0, :, 0].tolist() == [0, 0, 255, 255, 0]
    assert not pixels_of(Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32))).any()


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", 7), ("I;16", 7)])
def test_a_large_image_is_never_held_in_many_copies(mode: str, value: Any) -> None:
    image = Image.new(mode, (2000, 4000), value)
    tracemalloc.start()  # it measures the memory of NumPy
    try:
        preprocessed(image)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_strips_are_scaled_as_the_image_is() -> None:
    ramp = np.linspace(0, 1, 2_400_000, dtype=np.float32).reshape(1600, 1500)
    assert np.array_equal(pixels_of(Image.fromarray(ramp))[..., 0], np.rint(ramp.astype(np.float64) * 255))
    veil = np.zeros((1600, 1500, 4), np.uint8)
    veil[..., 3] = np.linspace(0, 255, 1600)[:, None]
    assert np.abs(pixels_of(veil)[..., 0] - (255 - veil[..., 3].astype(int))).max() <= 1


# Crop modes


def test_squash_takes_all_of_the_image_and_center_its_centre(encode: Encode, photo: Image.Image) -> None:
    data = encode(photo, "PNG")
    bilinear, bicubic = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
    assert np.array_equal(
        preprocessed(data, Preprocessing(16, "squash", "bicubic")).model_input,
        np.asarray(photo.resize((16, 16), bicubic)),
    )
    assert np.array_equal(
        preprocessed(data, Preprocessing(16, "squash", "bilinear")).model_input,
        np.asarray(photo.resize((16, 16), bilinear)),
    )
    middle = (24 - 14, 16 - 14, 24 + 14, 16 + 14)  # 7/8 of 32 pixels
    assert np.array_equal(
        preprocessed(data, Preprocessing(16, "center")).model_input, np.asarray(photo.resize((16, 16), bicubic, middle))
    )


@pytest.mark.parametrize(("crop_pct", "half"), [(1.0, 16), (0.5, 8)])
def test_crop_pct_is_the_fraction_of_the_short_side(crop_pct: float, half: int, photo: Image.Image) -> None:
    middle = photo.resize((16, 16), Image.Resampling.BILINEAR, (24 - half, 16 - half, 24 + half, 16 + half))
    assert np.array_equal(
        preprocessed(photo, Preprocessing(16, "center", "bilinear", crop_pct)).model_input, np.asarray(middle)
    )


def test_pad_keeps_the_aspect_ratio_on_grey(encode: Encode, photo: Image.Image) -> None:
    wide, high = (
        preprocessed(image, Preprocessing(24, "pad")).model_input
        for image in (photo, photo.transpose(Image.Transpose.ROTATE_90))
    )
    assert (wide[:4] == 127).all()
    assert (wide[20:] == 127).all()
    assert np.array_equal(wide[4:20], np.asarray(photo.resize((24, 16), Image.Resampling.BICUBIC)))
    assert (high[:, :4] == 127).all()
    assert (high[:, 4:20] != 127).any()


def test_each_crop_mode_equals_the_function_of_pillow_at_all_margins(photo: Image.Image) -> None:
    """The program in docs/bundle.md."""
    bilinear = Image.Resampling.BILINEAR
    for width, height in itertools.product((5, 17, 23, 31, 48), (6, 13, 24, 29, 32)):
        image = photo.crop((0, 0, width, height))
        for side in (15, 16, 33):
            padded = ImageOps.pad(image, (side, side), bilinear, color=(127, 127, 127))
            middle = ImageOps.fit(image, (side, side), bilinear, bleed=1 / 16)
            squashed = image.resize((side, side), bilinear)
            for crop_mode, expected in (("pad", padded), ("center", middle), ("squash", squashed)):
                model_input = preprocessed(image, Preprocessing(side, crop_mode, "bilinear")).model_input
                assert np.array_equal(model_input, np.asarray(expected)), (width, height, side, crop_mode)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 9), (4001, 3)])
def test_any_shape_is_preprocessed(size: tuple[int, int], encode: Encode) -> None:
    for format, crop_mode in itertools.product(("JPEG", "PNG"), ("squash", "center", "pad")):
        assert preprocessed(
            encode(Image.new("RGB", size, "red"), format), Preprocessing(16, crop_mode)
        ).model_input.shape == (
            16,
            16,
            3,
        )


def test_a_large_jpeg_is_decoded_reduced_and_still_covers_the_model_input(encode: Encode) -> None:
    image = draw("rings", 3, 256).resize((2048, 1536))
    data = encode(image, "JPEG", quality=95)
    for preprocessing, step in (
        (Preprocessing(80, "center"), 8),
        (Preprocessing(95), 8),
        (Preprocessing(112), 4),
        (Preprocessing(112, "pad"), 8),
        (Preprocessing(224), 2),
        (Preprocessing(400), 1),
    ):
        decoded = decode(data, lambda w, h, preprocessing=preprocessing: minimal_reduction(w, h, preprocessing), 10**8)
        assert not isinstance(decoded, ReadError)
        assert decoded.step == step, preprocessing
        result = preprocessed(data, preprocessing)
        assert (result.width, result.height) == (2048, 1536)
        exact = preprocessed(np.asarray(Image.open(io.BytesIO(data))), preprocessing).model_input
        assert np.abs(result.model_input.astype(int) - exact).mean() < 1, preprocessing


def minimal_reduction(width: int, height: int, preprocessing: Preprocessing) -> float:
    """By how much an image may be reduced: at least twice the pixels of the model input are left along each side."""
    if preprocessing.crop_mode == "pad":
        return max(width, height) / preprocessing.size / 2
    return min(width, height) * (7 / 8 if preprocessing.crop_mode == "center" else 1) / preprocessing.size / 2


def test_the_same_bytes_give_the_same_model_input(files: Files) -> None:
    for data in files.values():
        assert np.array_equal(preprocessed(data).model_input, preprocessed(bytes(data)).model_input)


# Images in memory


def test_common_kinds_of_arrays_give_the_same_model_input(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    grey = pixels[:, :, 0]
    expected = preprocessed(photo).model_input
    assert np.array_equal(preprocessed(pixels).model_input, expected)
    assert np.array_equal(preprocessed(np.asfortranarray(pixels)[:, :, :]).model_input, expected)
    assert np.array_equal(preprocessed(pixels.astype(np.int64)).model_input, expected)
    assert np.array_equal(preprocessed(pixels / 255).model_input, expected)
    assert np.array_equal(preprocessed(np.dstack([pixels, np.full_like(grey, 255)])).model_input, expected)
    assert np.array_equal(preprocessed(grey).model_input, preprocessed(grey[:, :, None]).model_input)
    assert np.array_equal(preprocessed(grey).model_input, preprocessed(grey.astype(np.uint16) * 257).model_input)
    assert colour(np.ones((2, 2), dtype=bool)) == [255, 255, 255]
    assert preprocessed(pixels).format == "array"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5),
        np.zeros((2, 2, 2)),
        np.zeros((3, 4, 4, 3)),
        np.zeros((0, 4, 3)),
        np.full((2, 2), "a"),
        np.full((2, 2), None),
        np.zeros((2, 2), dtype=complex),
    ],
)
def test_an_array_that_is_no_image_is_refused(array: NDArray[Any]) -> None:
    assert read_error(array).code == "not-an-image"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (
            np.array([[0.0, 255.0]]),
            "float64 must lie between 0 and 1, these lie between 0 and 255: divide them by 255",
        ),
        (np.array([[-1, 1]], np.float32), "these lie between -1 and 1: "),
        (np.array([[0, 1.02]], np.float16), "these lie between 0 and 1.01953: "),
        (np.array([[0.5, np.nan]]), "between nan and nan"),
        (np.array([[0, np.inf]]), "between 0 and inf"),
        (np.array([[-1, 255]]), "int64 must lie between 0 and 255, these lie between -1 and 255: scale them"),
        (np.array([[0, 256]], np.int32), "between 0 and 256"),
        (np.full((2, 2, 3), 65535, np.uint32), "between 65535 and 65535"),
    ],
)
def test_values_beyond_their_range_are_refused_with_both_ranges(array: NDArray[Any], text: str) -> None:
    error = read_error(array)
    assert error.code == "out-of-range"
    assert text in error.sentence


def test_a_pil_image_is_not_changed(encode: Encode, photo: Image.Image) -> None:
    opened = Image.open(io.BytesIO(encode(photo, "JPEG")))
    assert preprocessed(opened, Preprocessing(4)).format == "JPEG"
    assert opened.size == (48, 32)
    cut_short = Image.open(io.BytesIO(encode(photo, "PNG")[:-400]))
    assert read_error(cut_short).code == "truncated"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "F", "I;16"])
def test_an_image_without_pixels_is_refused(mode: str) -> None:
    assert read_error(Image.new(mode, (0, 5))).code == "not-an-image"


def test_an_image_that_does_not_fit_into_memory_is_too_large() -> None:
    class Greedy(Image.Image):
        def load(self) -> None:
            raise MemoryError

    assert read_error(Greedy()).code == "too-large"


# Read errors


def test_a_truncated_file_is_refused_whatever_its_length(files: Files) -> None:
    for name, data in files.items():
        if "animated gif" not in name:  # its first frame may be complete
            for fraction in (0.3, 0.6, 0.9):
                error = read_error(data[: int(len(data) * fraction)])
                assert error.code == "truncated", (name, fraction, error)


def test_half_a_jpeg_is_refused_at_reduced_scale(encode: Encode) -> None:
    for progressive in (False, True):
        data = encode(draw("bars", 1, 700), "JPEG", progressive=progressive)
        assert read_error(data[: len(data) // 2]).code == "truncated"
        assert read_error(data[:-40]).code == "truncated"


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", "empty-file", "no bytes"),
        (b"dear diary", "not-an-image", "JPEG"),
        (b"\0" * 4096, "not-an-image", "JPEG"),
        (b"\n<!DOCTYPE html><html>", "not-an-image", "web page"),
        (b"8BPS\0\x01", "unsupported-format", "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported-format", "PostScript"),
        (b"%PDF-1.7", "unsupported-format", "PDF"),
        (b"<svg xmlns=", "unsupported-format", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported-format", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "unsupported-format", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "not-an-image", "video"),
        (b"\xff\xd8\xff\xe0 and no more", "truncated", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "truncated", "PNG"),
    ],
)
def test_bytes_of_no_image_are_refused_with_their_reason(data: bytes, code: str, word: str) -> None:
    result = read_error(data)
    assert result.code == code
    assert word in result.sentence
    assert result.sentence.endswith(".")


def test_size_is_checked_before_anything_is_decoded(encode: Encode) -> None:
    header = encode(Image.new("L", (10, 10)), "PNG")
    monstrous = header[:16] + (60_000).to_bytes(4, "big") * 2 + header[24:]  # 3.6 gigapixels, in 70 bytes
    assert read_error(monstrous).code in ("too-large", "damaged")
    for format in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM"):
        data = encode(Image.new("RGB", (40, 30)), format)
        assert read_error(data, max_pixels=1199).code == "too-large", format
        assert preprocessed(data, max_pixels=1200).width == 40


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536), (2, 1_000_000), (20_000_000, 1)])
def test_a_side_of_more_than_65535_pixels_is_refused(size: tuple[int, int], encode: Encode) -> None:
    image = Image.new("1", size)
    for format in ("PNG", "TIFF", "BMP", "PPM"):
        result = read_error(encode(image, format))
        assert result.code == "too-large", format
        assert "65,535" in result.sentence


def test_a_side_of_65535_pixels_is_preprocessed(encode: Encode) -> None:
    ramp = np.linspace(0, 255, 65_535).astype(np.uint8)
    for line in (ramp[:, None], ramp[None]):
        model_input = preprocessed(encode(Image.fromarray(line), "PNG")).model_input
        assert model_input.max() > 240
        assert model_input.min() < 15
    tall, wide = (preprocessed(line, Preprocessing(64)).model_input.astype(int) for line in (ramp[:, None], ramp[None]))
    assert np.abs(tall - wide.transpose(1, 0, 2)).max() <= 1


def test_a_tile_of_more_than_65535_pixels_is_refused(encode: Encode) -> None:
    data = encode(Image.new("L", (16, 16)), "TIFF")
    strip, tile = struct.pack("<HHII", 278, 4, 1, 16), struct.pack("<HHII", 322, 4, 1, 65_552)
    assert strip in data
    assert read_error(data.replace(strip, tile)).code == "too-large"


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(encode: Encode) -> None:
    data = encode(draw("rings", 2), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    assert preprocessed(data[:-2] + last * 40 + b"\xff\xd9").width == 64
    for count in (150, 2_000):
        assert "scans" in read_error(data[:-2] + last * count + b"\xff\xd9").sentence
    large = encode(Image.new("L", (5000, 5000)), "JPEG", progressive=True)
    last = large[large.rfind(b"\xff\xda") : -2]
    assert read_error(large[:-2] + last * 60 + b"\xff\xd9").code == "too-large"


def test_a_sequential_jpeg_of_very_many_scans_is_refused(encode: Encode) -> None:
    data = encode(draw("rings", 2).convert("L"), "JPEG")
    frame, scan = data.find(b"\xff\xc0"), data.rfind(b"\xff\xda")
    three = b"\x00\x11" + data[frame + 4 : frame + 9] + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    head = data[: frame + 2] + three + data[frame + 13 : scan]
    scans = [b"\xff\xda\x00\x08\x01" + bytes([colour]) + data[scan + 6 : -2] for colour in (1, 2, 3)]
    assert preprocessed(head + b"".join(scans) + b"\xff\xd9").width == 64
    assert "scans" in read_error(head + b"".join(scans) * 50 + b"\xff\xd9").sentence


def test_plain_files_of_many_comments_or_numbers_take_no_time() -> None:
    assert preprocessed(b"P2 2 1 255\n" + b"#\n" * 200_000 + b"7 9").model_input.shape == (16, 16, 3)
    assert read_error(b"P3 1200 1200 255\n").code == "too-large"


def test_pillows_limit_neither_warns_nor_refuses(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("L", (100, 100)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert preprocessed(data).width == 100


def test_a_frame_larger_than_its_screen_is_refused_without_a_warning(encode: Encode) -> None:
    data = encode(Image.new("L", (8, 8)), "GIF")
    frame = b"\x2c" + struct.pack("<4H", 0, 0, 8, 8)
    assert frame in data
    large = data.replace(frame, frame[:5] + struct.pack("<2H", 10_000, 10_000))
    assert "the limit is 50" in read_error(large).sentence


def test_damaged_bytes_never_raise(files: Files, capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(8)
    codes = set()
    for data in files.values():
        for _ in range(130):
            damaged = bytearray(data[: random.integers(len(data) // 2, len(data) + 1)])
            for at in random.integers(0, min(len(damaged), random.choice([60, 400, 10_000])), random.integers(1, 12)):
                damaged[at] = random.integers(256)
            result = preprocess(bytes(damaged), PREPROCESSING, max_pixels=1_000_000)
            codes.add(result.code if isinstance(result, ReadError) else "preprocessed")
    assert {"preprocessed", "truncated", "damaged", "too-large", "not-an-image"} <= codes
    assert capfd.readouterr() == ("", "")


# Windows


def windows_of(pixels: NDArray[np.uint8], n: int, size: int) -> list[NDArray[np.uint8]]:
    """The n x n windows, row by row, by Pillow alone."""
    image, side = Image.fromarray(pixels), 1.2 / n
    starts = [number * (1 - side) / (n - 1) for number in range(n)]
    boxes = [(left, top, min(left + side, 1), min(top + side, 1)) for top in starts for left in starts]
    scaled = [(a * image.width, b * image.height, c * image.width, d * image.height) for a, b, c, d in boxes]
    return [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box)) for box in scaled]


@pytest.mark.parametrize("n", [2, 3, 8])
def test_windows_overlap_and_cover_the_whole_image(n: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    model_inputs = preprocessed(pixels, Preprocessing(16, "squash", "bilinear", views=(n,))).model_inputs
    assert np.array_equal(model_inputs[0], preprocessed(pixels, Preprocessing(16, "squash", "bilinear")).model_input)
    for model_input, expected in zip(model_inputs[1:], windows_of(pixels, n, 16), strict=True):
        assert np.array_equal(model_input, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_of_an_image_stored_in_another_orientation_are_those_of_the_upright_image(orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue()))))
    preprocessing = Preprocessing(16, "both", "bilinear", views=(2, 3))
    stored = preprocessed(file.getvalue(), preprocessing).model_inputs
    for first, second in zip(stored, preprocessed(upright, preprocessing).model_inputs, strict=True):
        assert np.abs(first.astype(int) - second).max() <= 1  # filtered by rows or by columns first
