"""The measures of an image that is watched."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from twofold.audit.metadata_features import image_traits
from twofold.bundle.model import Prediction
from twofold.embedding import FeatureRow
from twofold.embedding.feature_table import Metadata

DIGITS: Final = 12  # of a content hash: 100,000 images and as many new ones share one by chance in 1 of 28,000 lives


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredImage:
    """An image by its `digest`, the first digits of its content hash, and its measures by the names of their monitors."""

    digest: str
    measures: Mapping[str, float] = field(repr=False)

    def tie(self, name: str) -> float:
        """A number in [0, 1) for a measure, always the same: it places the image among those in its bin."""
        return int.from_bytes(hashlib.sha256(f"{self.digest} {name}".encode()).digest()[:6], "big") / 2**48


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredBatch:
    """Some images, in their order, and the codes of the read errors among them."""

    images: tuple[MeasuredImage, ...]
    read_errors: tuple[str, ...] = ()


def measure_images(rows: Sequence[FeatureRow], predictions: Sequence[Prediction]) -> MeasuredBatch:
    """The measures of images with these feature rows and predictions."""
    errors = tuple(row.read_error.code for row in rows if row.read_error is not None)
    usable = [each for each in predictions if each.read_error is None]
    metadata = [row.metadata for row in rows if row.metadata is not None]
    thumbnails = [row.thumbnail for row in rows if row.thumbnail is not None]
    if not metadata:
        return MeasuredBatch((), errors)
    columns = {name: values.tolist() for name, values in image_traits(metadata, np.stack(thumbnails)).items()}
    traits = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return MeasuredBatch(tuple(map(_image, metadata, usable, traits)), errors)


def _image(metadata: Metadata, prediction: Prediction, traits: dict[str, float]) -> MeasuredImage:
    scores = {"familiarity": prediction.familiarity, "logit": prediction.logit}
    measures = traits | {name: value for name, value in scores.items() if value is not None}
    if metadata.format == "array":  # pixels in memory are no file
        del measures["bytes per pixel"]
    return MeasuredImage(metadata.sha256[:DIGITS], measures)
