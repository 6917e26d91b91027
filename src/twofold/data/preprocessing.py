"""Preprocessing: from bytes, a PIL image or an array to the model input, or a read error."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.core.options import CropMode, Filter
from twofold.data.decoding import DecodedImage, convert_pil_image, decode, draft_step
from twofold.data.eight_bits import NO_RANGES, SIXTEEN_BIT_MODES, IntensityRanges, from_array
from twofold.data.file_metadata import EncodingMetadata
from twofold.data.orientation import put_upright, swaps_sides
from twofold.data.read_errors import ReadError

ImageArray = NDArray[np.uint8]  # (height, width, 3) RGB

# Fraction of the short side in the centre crop: 224 of 256, as ImageNet networks are evaluated. docs/decisions/005 has the gain.
CROP_PCT: Final = 224 / 256
MAX_PIXELS: Final = 50_000_000
SMALL: Final = 32  # side of a thumbnail, in pixels
_LONG: Final = 4096  # height of a narrow image, in pixels
# The margins of a padded image; EfficientNet-Lite's normalisation, (x - 127) / 128, turns them into zeros.
GREY: Final = 127
_BOTH: Final[tuple[CropMode, ...]] = ("center", "squash")
GRIDS: Final = (2, 3, 4, 6, 8)
"""The grids of windows that exist: n stands for n x n windows."""

WINDOW_OVERLAP: Final = 1.2  # sides of the n windows of a row over the width of the image

_FILTERS: Final[dict[Filter, Image.Resampling]] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

PREPROCESSING_VERSION: Final = 4
"""Raised whenever decoding or preprocessing gives other pixels or metadata: cached feature rows are then computed anew."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of the upright image in a model input: the image in a crop mode, or a window of a grid with `grid` x `grid`."""

    crop_mode: CropMode
    grid: int = 1
    row: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes the model input, `size` x `size`.

    Crop modes: `squash` resizes the image without its aspect ratio; `center` takes the square in its centre, of `crop_pct` of the
    short side; `pad` resizes it with its aspect ratio, on grey. `both` gives two model inputs, by `center` and by `squash`, whose
    mean features are those of the image.

    `views` are grids of windows beside the image: n stands for n x n overlapping windows of the whole image, each squashed to a
    model input. The features of the image are followed by their standard deviation over the windows of each grid.

    `integer_range` is (black, white) for images with more than eight bits per channel, `float_range` for images of floating-point
    values; None where the training data had no such images. Raises ValueError where one is not a range.
    """

    size: int
    crop_mode: CropMode = "squash"
    filter: Filter = "bicubic"
    crop_pct: float = CROP_PCT
    integer_range: tuple[int, int] | None = None
    float_range: tuple[float, float] | None = None
    views: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))  # JSON has lists
        if self.integer_range is not None:  # JSON has lists
            object.__setattr__(
                self, "integer_range", _checked_range(self.integer_range, "integer_range", (int,), "integers")
            )
        if self.float_range is not None:
            object.__setattr__(
                self, "float_range", _checked_range(self.float_range, "float_range", (int, float), "finite numbers")
            )

    @property
    def ranges(self) -> IntensityRanges:
        return IntensityRanges(self.integer_range, self.float_range)

    @property
    def crops(self) -> tuple[Crop, ...]:
        """The crop of each model input: one for the image, or two for `both`; then the windows, row by row."""
        modes = _BOTH if self.crop_mode == "both" else (self.crop_mode,)
        windows = (Crop("squash", n, row, column) for n in self.views for row in range(n) for column in range(n))
        return (*map(Crop, modes), *windows)

    @property
    def moments(self) -> int:
        """The number of features of an image for each feature of a model input."""
        return 1 + len(self.views)

    def pool(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of an image, (d,), from those of its model inputs one after the other, (k * d,)."""
        crops = self.crops
        if len(crops) == 1:
            return features
        grids = np.array([crop.grid for crop in crops])
        rows = features.reshape(len(crops), -1)
        stds = (rows[grids == grid].std(axis=0) for grid in self.views)
        return np.concatenate([rows[grids == 1].mean(axis=0), *stds])

    def with_intensity_ranges(self, ranges: IntensityRanges) -> "Preprocessing":
        """The same preprocessing with these ranges."""
        return replace(self, integer_range=ranges.integer_range, float_range=ranges.float_range)


def _checked_range(value: Any, name: str, kinds: tuple[type, ...], noun: str) -> tuple[float, float]:
    pair = tuple(value) if isinstance(value, list | tuple) else ()
    numbers = [number for number in pair if type(number) in kinds and math.isfinite(number)]
    if not (len(pair) == len(numbers) == 2 and pair[0] < pair[1]):
        raise ValueError(f"`{name}` must be (black, white), two {noun} in rising order, got {value!r}.")
    return pair[0], pair[1]


@dataclass(frozen=True, slots=True)
class PreprocessedImage:
    """The model inputs and the thumbnail of an image, with its size and encoding."""

    model_inputs: tuple[ImageArray, ...] = field(repr=False)  # each (size, size, 3), C-contiguous
    thumbnail: ImageArray = field(repr=False)  # (SMALL, SMALL, 3): the whole image, upright, squashed to a square
    width: int  # of the upright image, at full size
    height: int
    format: str  # "JPEG", "PNG", ...; "array" for pixels in memory
    encoding: EncodingMetadata

    @property
    def model_input(self) -> ImageArray:
        """The model input where there is one."""
        (model_input,) = self.model_inputs
        return model_input


def preprocess(
    source: bytes | Image.Image | NDArray[Any], preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS
) -> PreprocessedImage | ReadError:
    """The preprocessed image, or a read error. Nothing is raised for any bytes.

    The first frame of an animation is taken, transparent pixels become white, and the EXIF orientation is followed.
    Colour profiles are not applied.
    """
    decoded = _decode(
        source, lambda width, height: _shrink(width, height, preprocessing), max_pixels, preprocessing.ranges
    )
    if isinstance(decoded, ReadError):
        return decoded
    width, height = decoded.width, decoded.height
    if swaps_sides(decoded.orientation):
        width, height = height, width
    thumbnail = _fit(decoded, Preprocessing(SMALL, "squash", "bilinear"), Crop("squash"))
    stored_crops = (_as_stored(crop, decoded.orientation) for crop in preprocessing.crops)
    model_inputs = tuple(_fit(decoded, preprocessing, crop) for crop in stored_crops)
    return PreprocessedImage(model_inputs, thumbnail, width, height, decoded.format, decoded.encoding)


def open_image(
    source: bytes | Image.Image | NDArray[Any], *, max_pixels: int = MAX_PIXELS, ranges: IntensityRanges = NO_RANGES
) -> ImageArray | ReadError:
    """The image, upright, at full size, (height, width, 3), by the same rules as `preprocess`; or a read error."""
    decoded = _decode(source, lambda width, height: 1, max_pixels, ranges)
    if isinstance(decoded, ReadError):
        return decoded
    return np.array(put_upright(decoded.image, decoded.orientation).convert("RGB"))


def open_grey(
    source: bytes | Image.Image | NDArray[Any], *, max_pixels: int = MAX_PIXELS, ranges: IntensityRanges = NO_RANGES
) -> tuple[NDArray[np.uint8], tuple[int, ...]] | ReadError:
    """The luma of the image, upright, at full size, (height, width), and the luminance table of a JPEG file; or a read error."""
    decoded = _decode(source, lambda width, height: 1, max_pixels, ranges)
    if isinstance(decoded, ReadError):
        return decoded
    return np.array(put_upright(decoded.image, decoded.orientation).convert("L")), decoded.encoding.luminance


def identifying_pixels(source: Image.Image | NDArray[Any], *, max_pixels: int = MAX_PIXELS) -> NDArray[Any] | ReadError:
    """The array that identifies an image in memory, upright: for more than eight bits per channel its values, else RGB pixels."""
    if isinstance(source, np.ndarray):
        return np.ascontiguousarray(source) if source.dtype == np.uint16 else open_image(source, max_pixels=max_pixels)
    if source.mode not in (*SIXTEEN_BIT_MODES, "I", "F"):
        return open_image(source, max_pixels=max_pixels)
    # Any range, because an image without a range would give a read error.
    decoded = convert_pil_image(source, IntensityRanges((0, 1), (0.0, 1.0)))
    return decoded if isinstance(decoded, ReadError) else np.array(put_upright(source, decoded.orientation))


def _decode(
    source: bytes | Image.Image | NDArray[Any],
    shrink: Callable[[int, int], float],
    max_pixels: int,
    ranges: IntensityRanges = NO_RANGES,
) -> DecodedImage | ReadError:
    if isinstance(source, bytes):
        return decode(source, shrink, max_pixels, ranges)
    image = from_array(source, ranges) if isinstance(source, np.ndarray) else source
    return image if isinstance(image, ReadError) else convert_pil_image(image, ranges)


def _shrink(width: int, height: int, preprocessing: Preprocessing) -> float:
    """The factor by which the image may be reduced when it is decoded.

    Twice as many pixels as in the model input are left along each side.
    docs/decisions/001 has the effect on accuracy.
    """
    return min(min(pixel_scale(width, height, preprocessing, crop)) for crop in preprocessing.crops) / 2


def reduced_scale(width: int, height: int, preprocessing: Preprocessing) -> bool:
    """Whether a JPEG file of this size is decoded at reduced scale."""
    return draft_step(_shrink(width, height, preprocessing)) > 1


def decoded_alike(width: int, height: int, first: Preprocessing, second: Preprocessing) -> bool:
    """Whether both preprocessings decode a JPEG file of this size at the same scale."""
    return draft_step(_shrink(width, height, first)) == draft_step(_shrink(width, height, second))


def pixel_scale(width: int, height: int, preprocessing: Preprocessing, crop: Crop) -> tuple[float, float]:
    """Width and height of a pixel of the model input, in pixels of the image."""
    left, top, right, bottom = _area(width, height, preprocessing, crop)
    inner_width, inner_height = _inner_size(width, height, preprocessing, crop)
    return (right - left) / inner_width, (bottom - top) / inner_height


@dataclass(frozen=True, slots=True)
class InputAxis:
    """Where one axis of a model input lies in the upright image: at `start` + `scale` * position, all in pixels.

    Positions are measured from the edge of the model input; in the margins of a padded image they lie outside the image.
    """

    start: float
    scale: float


def input_axes(width: int, height: int, preprocessing: Preprocessing, crop: Crop) -> tuple[InputAxis, InputAxis]:
    """The horizontal and the vertical axis of a model input of an upright image of this size."""
    left, top, right, bottom = _area(width, height, preprocessing, crop)
    inner_width, inner_height = _inner_size(width, height, preprocessing, crop)
    return (
        _input_axis(left, right, inner_width, preprocessing.size),
        _input_axis(top, bottom, inner_height, preprocessing.size),
    )


def _input_axis(start: float, end: float, inner: int, size: int) -> InputAxis:
    scale = (end - start) / inner
    return InputAxis(start - _margin(size, inner) * scale, scale)


def _margin(size: int, inner: int) -> int:
    """The pixels of the model input before the image."""
    return round((size - inner) / 2)


def _as_stored(crop: Crop, orientation: int) -> Crop:
    """The window of the image as it is stored that lies at this row and column of the upright image."""
    if crop.grid == 1 or orientation == 1:
        return crop
    numbers = np.arange(crop.grid**2, dtype=np.uint8).reshape(crop.grid, crop.grid)
    upright = np.array(put_upright(Image.fromarray(numbers), orientation))
    row, column = divmod(int(upright[crop.row, crop.column]), crop.grid)
    return replace(crop, row=row, column=column)


def _area(width: int, height: int, preprocessing: Preprocessing, crop: Crop) -> tuple[float, float, float, float]:
    """The area of the image that becomes the model input: left, top, right, bottom in pixels of the image."""
    if crop.grid > 1:
        side = WINDOW_OVERLAP / crop.grid
        step = (1 - side) / (crop.grid - 1)
        left, top = crop.column * step, crop.row * step
        return left * width, top * height, min(left + side, 1) * width, min(top + side, 1) * height
    if crop.crop_mode != "center":
        return 0, 0, width, height
    side = min(width, height) * preprocessing.crop_pct
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def _inner_size(width: int, height: int, preprocessing: Preprocessing, crop: Crop) -> tuple[int, int]:
    """Width and height of that area in the model input."""
    if crop.crop_mode != "pad":
        return preprocessing.size, preprocessing.size
    if width > height:  # the order of operations of ImageOps.pad: another one may round differently
        return preprocessing.size, max(round(height / width * preprocessing.size), 1)
    return max(round(width / height * preprocessing.size), 1), preprocessing.size


def _fit(decoded: DecodedImage, preprocessing: Preprocessing, crop: Crop) -> ImageArray:
    inner = _inner_size(decoded.width, decoded.height, preprocessing, crop)
    area = _area(decoded.width, decoded.height, preprocessing, crop)
    left, top, right, bottom = (edge / decoded.step for edge in area)
    image, resampling = decoded.image, _FILTERS[preprocessing.filter]
    if right - left < inner[0] and image.height > _LONG:  # Pillow would first widen all of its lines
        image, top, bottom = (
            image.resize((image.width, inner[1]), resampling, (0, top, image.width, bottom)),
            0,
            inner[1],
        )
    image = image.resize(inner, resampling, (left, top, right, bottom))
    image = put_upright(image, decoded.orientation).convert("RGB")
    if image.size == (preprocessing.size, preprocessing.size):
        return np.array(image)
    canvas = Image.new("RGB", (preprocessing.size, preprocessing.size), (GREY,) * 3)
    canvas.paste(image, (_margin(preprocessing.size, image.width), _margin(preprocessing.size, image.height)))
    return np.array(canvas)
