"""Images with more than eight bits: one range for a data set."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deepfiles import Numbers, chunk, png, pnm, tiff, tiff_in_colour
from drawings import draw
from numpy.typing import NDArray
from PIL import Image

from twofold.data import (
    NO_RANGES,
    IntensityRanges,
    PreprocessedImage,
    Preprocessing,
    ReadError,
    identifying_pixels,
    preprocess,
)
from twofold.embedding import Source
from twofold.embedding.intensity_scan import find_ranges

PREPROCESSING = Preprocessing(48, "center", "bilinear")
DRAWN = [np.asarray(draw(pattern, number, 90)) for pattern in ("bars", "rings") for number in range(4)]
Kind = Callable[[Numbers], Source]
GREY: dict[str, Kind] = {
    "png": lambda numbers: png(grey(numbers)),
    "tiff": lambda numbers: tiff(Image.fromarray(grey(numbers))),
    "lzw tiff": lambda numbers: tiff(Image.fromarray(grey(numbers)), compression="tiff_lzw"),
    "big tiff": lambda numbers: tiff(Image.fromarray(grey(numbers)), big_tiff=True),
    "pgm": lambda numbers: pnm(grey(numbers)),
    "plain pgm": lambda numbers: b"P2 90 90 65535\n" + " ".join(map(str, grey(numbers).ravel())).encode(),
    "array": lambda numbers: grey(numbers),
    "I;16": lambda numbers: Image.fromarray(grey(numbers)),
    "I": lambda numbers: Image.fromarray(grey(numbers).astype(np.int32)),
}
COLOUR: dict[str, Kind] = {
    "png": png,
    "png with alpha": lambda numbers: png(np.dstack([numbers, np.full((90, 90), 65_535, np.uint16)])),
    "tiff": tiff_in_colour,
    "deflated tiff": lambda numbers: tiff_in_colour(numbers, packed=True),
    "big-endian tiff": lambda numbers: tiff_in_colour(numbers, ">"),
    "deflated big-endian tiff": lambda numbers: tiff_in_colour(numbers, ">", packed=True),
    "ppm": pnm,
    "array": lambda numbers: numbers,
}


def grey(numbers: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(numbers[..., 0])


def integer_range(pixels: NDArray[np.uint8], bits: int) -> Numbers:
    return np.rint(pixels * ((2.0**bits - 1) / 255)).astype(np.uint16)


def ranges_of(sources: Sequence[Source]) -> IntensityRanges:
    return find_ranges(sources, max_pixels=10**7)[0]


def model_input_of(source: Any, ranges: IntensityRanges = NO_RANGES) -> NDArray[np.int64]:
    image = preprocess(source, PREPROCESSING.with_intensity_ranges(ranges))
    assert isinstance(image, PreprocessedImage), image
    return image.model_input.astype(np.int64)


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize(("kinds", "plain"), [(GREY, grey), (COLOUR, np.asarray)], ids=["grey", "colour"])
def test_files_of_any_depth_give_the_model_input_of_eight_bits(kinds: dict[str, Kind], plain: Any, bits: int) -> None:
    for name, kind in kinds.items():
        sources = [kind(integer_range(pixels, bits)) for pixels in DRAWN]
        ranges = ranges_of(sources)
        assert ranges == IntensityRanges((0, 2**bits - 1)), name
        for source, pixels in zip(sources, DRAWN, strict=True):
            assert np.abs(model_input_of(source, ranges) - model_input_of(plain(pixels))).max() <= 1, name


def test_grey_with_alpha_uses_its_low_byte() -> None:
    sources = [
        png(np.dstack([integer_range(grey(pixels), 12), np.full((90, 90), 65_535, np.uint16)])) for pixels in DRAWN
    ]
    assert ranges_of(sources) == IntensityRanges((0, 4095))
    assert np.abs(model_input_of(sources[0], IntensityRanges((0, 4095))) - model_input_of(grey(DRAWN[0]))).max() <= 1


def test_transparent_pixels_become_white_at_any_range() -> None:
    half = np.dstack([integer_range(DRAWN[0], 12), np.zeros((90, 90), np.uint16)])
    assert (model_input_of(png(half), IntensityRanges((0, 4095))) == 255).all()
    assert (model_input_of(half, IntensityRanges((0, 4095))) == 255).all()


def test_the_range_belongs_to_the_data_set_and_never_to_one_image() -> None:
    dark, bright = integer_range(DRAWN[0] // 4, 12), integer_range(DRAWN[1], 12)
    ranges = ranges_of([png(grey(dark)), png(grey(bright))])
    assert np.abs(model_input_of(png(grey(dark)), ranges) - model_input_of(grey(DRAWN[0] // 4))).max() <= 1


@pytest.mark.parametrize("bits", [10, 12])
def test_hot_pixels_and_dead_lines_do_not_change_the_range(bits: int) -> None:
    images = [grey(integer_range(pixels, bits)) for pixels in DRAWN]
    for number, image in enumerate(images):
        image[number + 5, 40] = 65_535
        image[3 * number + 9] = 65_535
        image[:, 3 * number + 9] = 50_000
    assert ranges_of([png(image) for image in images]) == IntensityRanges((0, 2**bits - 1))


def test_one_outlier_among_hundreds_does_not_change_the_range() -> None:
    images = [np.full((8, 8), 900 + number, np.uint16) for number in range(120)]
    for image in images:
        image[:4] = 3
    assert ranges_of([*images[:-1], np.full((8, 8), 65_535, np.uint16)]) == IntensityRanges((0, 1023))


def test_a_narrow_band_far_from_black_is_a_range_of_its_own() -> None:
    """As in images of thermal cameras."""
    images = [(7000 + grey(pixels).astype(np.float64) * 2000 / 255).astype(np.uint16) for pixels in DRAWN]
    black, white = ranges_of([tiff(Image.fromarray(image)) for image in images]).integer_range or (0, 0)
    assert 7000 <= black < 7500
    assert 8500 < white <= 9000
    model_input = model_input_of(images[0], IntensityRanges((black, white)))
    assert model_input.max() - model_input.min() > 150


def test_eight_bits_in_a_16_bit_file_have_the_range_of_eight_bits() -> None:
    assert ranges_of([png(grey(pixels).astype(np.uint16)) for pixels in DRAWN]) == IntensityRanges((0, 255))
    assert ranges_of([np.zeros((9, 9), np.uint16)]) == IntensityRanges((0, 255))


def test_signed_integers_have_a_range_of_their_own() -> None:
    """As in computed tomography."""
    images = [tiff(Image.fromarray(grey(pixels).astype(np.int32) * 10 - 1000)) for pixels in DRAWN]
    black, white = ranges_of(images).integer_range or (0, 0)
    assert black < -500
    assert white > 1000
    assert model_input_of(images[0], IntensityRanges((black, white))).std() > 20


def test_floating_point_images_share_a_range() -> None:
    images = [tiff(Image.fromarray(grey(pixels).astype(np.float32) / 10 - 3)) for pixels in DRAWN]
    images.append(tiff(Image.fromarray(np.full((90, 90), 5, np.float32))))
    ranges = ranges_of(images)
    assert ranges.integer_range is None
    black, white = ranges.float_range or (0.0, 0.0)
    assert -3 <= black < 5 < white <= 22.5
    assert np.ptp(model_input_of(images[-1], ranges)) == 0
    assert 0 < model_input_of(images[-1], ranges).max() < 255  # not stretched, though it has one value only


# What the files declare


def test_the_significant_bits_of_a_png_are_the_range_where_no_value_exceeds_them() -> None:
    for bits in (10, 12, 14):
        images = [integer_range(grey(pixels) // 3, bits) for pixels in DRAWN]
        assert ranges_of([png(image, bits) for image in images]) == IntensityRanges((0, 2**bits - 1))
        scaled = [image << (16 - bits) for image in images]  # as the standard asks
        assert (ranges_of([png(image, bits) for image in scaled]).integer_range or (0, 0))[1] > 2**bits


def test_the_maximum_that_tiff_files_declare_is_white() -> None:
    images = [Image.fromarray(grey(integer_range(pixels, 12)) // 3) for pixels in DRAWN]
    assert ranges_of([tiff(image, tiffinfo={281: 3000}) for image in images]) == IntensityRanges((0, 3000))
    assert ranges_of([tiff(image, tiffinfo={281: 3000 + n}) for n, image in enumerate(images)]) == IntensityRanges(
        (0, 2047)
    )
    assert ranges_of([tiff(image, tiffinfo={281: 9}) for image in images]) == IntensityRanges((0, 2047))


def test_the_maximum_of_a_pgm_file_is_white() -> None:
    for greatest in (511, 4095, 60_000):
        dim = [grey(pixels).astype(np.uint16) for pixels in DRAWN]
        ranges = ranges_of([pnm(numbers, greatest) for numbers in dim])
        expected = model_input_of(np.rint(dim[0] * (255 / greatest)).astype(np.uint8))
        assert np.abs(model_input_of(pnm(dim[0], greatest), ranges) - expected).max() <= 1
    colours = integer_range(DRAWN[0], 12)
    assert np.abs(model_input_of(pnm(colours, 4095)) - model_input_of(DRAWN[0])).max() <= 1


def test_odd_declarations_are_ignored() -> None:
    image = grey(integer_range(DRAWN[0], 12))
    for bits in (0, 1, 17, 255):
        assert ranges_of([png(image, bits)]) == IntensityRanges((0, 4095))
    early = png(image)[:33] + chunk(b"sBIT") + png(image)[33:]
    assert ranges_of([early]) == IntensityRanges((0, 4095))


# How the ranges are used


def test_images_of_eight_bits_have_no_range_and_no_note(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths: list[Source] = [tmp_path / name for name in files if "16-bit" not in name]
    missing: list[Source] = [tmp_path / "none", tmp_path, np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4))]
    assert find_ranges([*paths, *missing, b"", b"P5"], max_pixels=10**7) == (IntensityRanges(), [])


def test_a_note_names_the_range_and_its_reason() -> None:
    mixed = [png(grey(integer_range(pixels, 12))) for pixels in DRAWN] + [np.zeros((4, 4), np.uint8)]
    (note,) = find_ranges(mixed, max_pixels=10**7)[1]
    assert note.code == "range-integers"
    assert note.text.startswith("8 images with more than eight bits per channel: 0 is black and 4,095 is white")
    assert "12 bits" in note.text


def test_unreadable_files_do_not_change_the_range() -> None:
    intact, bright = png(grey(integer_range(DRAWN[0], 12))), png(grey(integer_range(DRAWN[0], 16)))
    assert ranges_of([intact, bright[:-4000]]) == IntensityRanges((0, 4095))
    assert find_ranges([intact, bright], max_pixels=100)[0] == IntensityRanges()


def test_the_range_leaves_images_of_eight_bits_alone(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        if "16-bit" not in name:
            assert np.array_equal(model_input_of(data), model_input_of(data, IntensityRanges((0, 1023), (0.0, 9.0)))), (
                name
            )


def test_values_beyond_the_range_are_clipped() -> None:
    ramp = np.array([[0, 100, 160, 200, 65_535]], np.uint16)
    image = preprocess(ramp, Preprocessing(5, "squash", "bilinear", integer_range=(100, 200)))
    assert isinstance(image, PreprocessedImage)
    assert image.model_input[0, :, 0].tolist() == [0, 0, 153, 255, 255]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.array([[0, 70_000]], np.int32)),
        Image.fromarray(np.array([[-1, 5]], np.int32)),
        Image.fromarray(np.array([[0.0, 1.5]], np.float32)),
        Image.fromarray(np.array([[-0.5, 1.0]], np.float32)),
    ],
)
def test_values_without_a_known_range_are_refused_rather_than_stretched(image: Image.Image) -> None:
    error = preprocess(tiff(image), PREPROCESSING)
    assert isinstance(error, ReadError)
    assert error.code == "unsupported-format"
    assert "black and white are unknown" in error.sentence


def test_preprocessing_survives_json_and_rejects_illegal_ranges() -> None:
    preprocessing = Preprocessing(48, integer_range=(0, 4095), float_range=(-1.5, 2.0))
    assert Preprocessing(**json.loads(json.dumps(asdict(preprocessing)))) == preprocessing
    for wrong in ((5, 5), (9, 1), (1,), (1, 2, 3), ("a", 2), (0, float("nan")), (0, float("inf")), (True, 9), 7, "07"):
        for name in ("integer_range", "float_range"):
            with pytest.raises(ValueError, match=rf"`{name}` must be \(black, white\)"):
                Preprocessing(48, **{name: wrong})
    with pytest.raises(ValueError, match=r"`integer_range` must be \(black, white\), two integers"):
        Preprocessing(48, integer_range=(0, 1.5))  # type: ignore[arg-type]


def test_images_in_memory_are_identified_by_all_of_their_bits() -> None:
    arrays = [np.full((4, 4), value, np.uint16) for value in (300, 301)]
    for kind in (np.asarray, Image.fromarray, lambda n: Image.fromarray(n.astype(np.int32))):
        first, second = (identifying_pixels(kind(numbers)) for numbers in arrays)
        assert not isinstance(first, ReadError)
        assert not isinstance(second, ReadError)
        assert first.tobytes() != second.tobytes()
