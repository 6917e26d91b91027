"""The sample of training images on which the crop mode and the views are chosen. Its images are embedded once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import FileList, Preprocessing, decoded_alike
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.decision import fit_head
from twofold.embedding import FeatureRow, Runtime, Source, collect_features
from twofold.evaluation.groups import design_effect
from twofold.networks import Backbone

_MAX_IMAGES: Final = 1000
_MAX_INPUTS: Final = 12_000  # of the sample: where there are many windows, they are tried on fewer images
_MIN_IMAGES: Final = 200
_MIN_GROUPS: Final = 10  # of each class; with fewer, a log-loss says little


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSample:
    """Rows of the sample, by their place among the sources, with the features of all crops of `backbone`."""

    rows: Mapping[int, FeatureRow] = field(repr=False)
    backbone: Backbone

    def rows_for(self, backbone: Backbone) -> dict[int, FeatureRow]:
        """The rows as `backbone` gives them, where it differs by the choice of crops alone; none for another one.

        JPEG files that it decodes at another scale are left out.
        """
        preprocessing, embedded = backbone.preprocessing, self.backbone.preprocessing
        same = replace(backbone, preprocessing=embedded).identity == self.backbone.identity
        others = replace(preprocessing, crop_mode=embedded.crop_mode, views=embedded.views) != embedded
        if not same or others or not set(preprocessing.crops) <= set(embedded.crops):
            return {}
        rows = {number: select_crops(row, embedded, preprocessing) for number, row in self.rows.items()}
        return {number: row for number, row in rows.items() if _same_pixels(row, embedded, preprocessing)}


def _same_pixels(row: FeatureRow, first: Preprocessing, second: Preprocessing) -> bool:
    metadata = row.metadata
    return (
        metadata is None or metadata.format != "JPEG" or decoded_alike(metadata.width, metadata.height, first, second)
    )


def select_crops(row: FeatureRow, embedded: Preprocessing, preprocessing: Preprocessing) -> FeatureRow:
    """The row with the model inputs of `preprocessing` alone, from one with all those of `embedded`."""
    if row.features is None or row.metadata is None or preprocessing == embedded:
        return row
    numbers = [embedded.crops.index(crop) for crop in preprocessing.crops]
    features = row.features.reshape(len(embedded.crops), -1)[numbers].reshape(-1)
    return replace(row, features=features, metadata=row.metadata.of_model_inputs(numbers))


def draw_sample(file_list: FileList, limit: int, seed: int) -> list[int]:
    """The numbers of at most about `limit` files, in order; of each class its fraction, and at least a tenth of the sample."""
    labels = np.array([file.label for file in file_list.files])
    if len(labels) <= limit:
        return list(range(len(labels)))
    random, sample = np.random.default_rng(seed), list[int]()
    for label in np.unique(labels):
        numbers = np.flatnonzero(labels == label)
        count = round(limit * len(numbers) / len(labels))
        sample += random.choice(numbers, min(len(numbers), max(count, limit // 10)), replace=False).tolist()
    return sorted(sample)


@dataclass(frozen=True, slots=True, eq=False)
class CropComparison:
    """Out-of-fold comparisons on the images of the sample that have features and one label."""

    dataset: LabelledDataset
    rows: Sequence[FeatureRow] = field(repr=False)
    embedded: Preprocessing
    folds: int
    seed: int

    @classmethod
    def of_sample(cls, sample: EmbeddedSample, file_list: FileList, folds: int, seed: int) -> "CropComparison":
        """The comparison of the sample of these files."""
        rows, embedded = list(sample.rows.values()), sample.backbone.preprocessing
        files = replace(file_list, files=tuple(file_list.files[number] for number in sample.rows), skips=())
        table = replace(collect_features(rows, len(rows), embedded.pool), moments=embedded.moments)
        return cls(labelled_dataset(files, table), rows, embedded, folds, seed)

    @property
    def images(self) -> int:
        """The number of images compared."""
        return int(self.dataset.valid.sum())

    @property
    def possible(self) -> bool:
        """Whether there are enough groups of each class."""
        used = np.flatnonzero(self.dataset.valid)
        labels, groups = self.dataset.labels[used], self.dataset.groups[used]
        return min(len(np.unique(groups[labels == label])) for label in (0, 1)) >= max(_MIN_GROUPS, self.folds)

    def losses(self, preprocessing: Preprocessing) -> NDArray[np.float64]:
        """The out-of-fold log-loss of each image with the crops of `preprocessing`, (n,)."""
        used = np.flatnonzero(self.dataset.valid)
        selected = (select_crops(row, self.embedded, preprocessing) for row in self.rows)
        features = collect_features(selected, len(self.rows), preprocessing.pool).features[used]
        labels = self.dataset.labels[used]
        fold = assign_folds(self.dataset.names[used], self.dataset.groups[used], self.folds, self.seed)
        logits = fit_head(features, labels, fold).logits
        return np.logaddexp(0.0, logits) - labels * logits

    def difference(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
        """The mean of `first` minus `second`, losses (n,) of these images, and its cluster-robust standard error."""
        differences, groups = first - second, self.dataset.groups[self.dataset.valid]
        mean, error = float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
        return mean, error * math.sqrt(design_effect(differences - mean, groups))


def sample_limit(inputs: int) -> int:
    """The number of images in a sample where each has this many model inputs."""
    return max(_MIN_IMAGES, min(_MAX_IMAGES, _MAX_INPUTS // inputs))


def embed_sample(
    file_list: FileList, sources: Sequence[Source], backbone: Backbone, runtime: Runtime, seed: int
) -> EmbeddedSample:
    """The sample of these files with all crops of the backbone."""
    sample = draw_sample(file_list, sample_limit(len(backbone.preprocessing.crops)), seed)
    rows = runtime.embed_rows([sources[number] for number in sample], runtime.engine(backbone), what="crops")
    return EmbeddedSample(dict(zip(sample, rows, strict=True)), backbone)
