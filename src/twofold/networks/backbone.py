"""A frozen network, ready to be compiled and run, and checks of the options that describe its input."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import FeatureSet
from twofold.data import PREPROCESSING_VERSION, IntensityRanges, Preprocessing
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, Triple
from twofold.networks.dtypes import Dtype


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network and its preprocessing.

    `graph` is a serialised ONNX model. Its input is `image`, uint8 (n, size, size, 3). Its outputs are `features`,
    float32 (n, d), and, where the network has a map before its pooling, `feature_map`, float32 (n, c, h, w).
    """

    name: str
    graph: bytes = field(repr=False)
    preprocessing: Preprocessing
    dtype: Dtype
    features: FeatureSet
    notes: tuple[Note, ...] = field(default=(), kw_only=True)

    @cached_property
    def identity(self) -> str:
        """A SHA-256, 64 hexadecimal digits, of everything besides the image that features depend on.

        It is the key of cached features, so it is computed from the graph itself and never read from a file.
        """
        preprocessing = asdict(self.preprocessing)
        if not self.preprocessing.views:  # the rows of earlier versions stay valid
            del preprocessing["views"]
        settings = json.dumps([PREPROCESSING_VERSION, preprocessing, self.dtype], sort_keys=True)
        return hashlib.sha256(settings.encode() + self.graph).hexdigest()


def with_intensity_ranges(backbone: Backbone, ranges: IntensityRanges) -> Backbone:
    """The same network for images with more than eight bits per channel: `ranges` are the intensities of black and white."""
    if ranges == backbone.preprocessing.ranges:
        return backbone
    return replace(backbone, preprocessing=backbone.preprocessing.with_intensity_ranges(ranges))


def check_image_size(size: int | None, name: str) -> int:
    """The image size in pixels. Raises UsageError where it is missing or out of range."""
    if size is None:
        raise UsageError(f"{name} does not state its image size; choose one with `size`.")
    if not 1 <= size <= 4096:
        raise UsageError(f"`size` must lie between 1 and 4096, got {size}.")
    return size


def check_std(std: Triple) -> Triple:
    """The standard deviations for the normalisation. Raises UsageError where one is not positive."""
    if min(std) <= 0:
        raise UsageError(f"`std` must be above 0, got {' '.join(f'{value:g}' for value in std)}.")
    return std


def note_assumed_normalisation(name: str) -> Note:
    """A note that the mean and std of ImageNet are used for a network that does not state its own."""
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return Note(
        "assumed-preprocessing",
        f"{name} does not state its normalisation; ImageNet's mean ({mean}) and std ({std}) are assumed. "
        "Check that it was trained with them, or set `mean` and `std`.",
    )
