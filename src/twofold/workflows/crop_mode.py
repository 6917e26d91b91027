"""The crop mode: chosen on training images, by the out-of-fold log-loss of a head.

The whole image is used (`squash`, or `both`) unless the central square alone is better by more than its standard error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.notes import Note
from twofold.core.options import CropMode
from twofold.data import FileList
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.decision import fit_head
from twofold.embedding import FeatureRow, FeatureTable, Runtime, Source, collect_features
from twofold.networks import Backbone

WHOLE: Final[tuple[CropMode, ...]] = ("squash", "both")
"""The crop modes that use the whole image."""

SINGLE: Final[tuple[CropMode, ...]] = ("squash",)
"""Those of them with one model input per image."""

_MAX_IMAGES: Final = 1000
_MIN_GROUPS: Final = 10  # of each class; with fewer, a log-loss says little


@dataclass(frozen=True, slots=True)
class CropModeChoice:
    """The crop mode of a model, and the out-of-fold log-loss of each candidate, {} where there were too few images to compare."""

    mode: CropMode
    images: int
    log_losses: dict[CropMode, float]
    gain: float = 0.0  # log-loss of the best crop mode with the whole image minus that of `center`
    error: float = 0.0  # the standard error of the gain

    def as_json(self) -> dict[str, Any]:
        """The block "crop_mode_choice"."""
        return {
            "mode": self.mode,
            "images": self.images,
            "log_losses": self.log_losses,
            "gain": self.gain,
            "error": self.error,
        }

    def note(self) -> Note:
        """The choice and its figures, and its cost where it has one."""
        if not self.log_losses:
            text = "there were too few images to compare crop modes. `crop_mode` sets another one."
            return Note("crop-mode", f"Crop mode: {self.mode}, the whole image; {text}")
        losses = ", ".join(f"{mode} {loss:.4f}" for mode, loss in self.log_losses.items())
        cost = " Every image is embedded twice." if self.mode == "both" else ""
        return Note(
            "crop-mode", f"Crop mode: {self.mode} (out-of-fold log-loss of {self.images} images: {losses}).{cost}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSample:
    """Rows of the sample on which the crop mode was chosen, by their place among the sources, with the features of `both`."""

    rows: Mapping[int, FeatureRow] = field(repr=False)
    backbone: Backbone

    def rows_for(self, backbone: Backbone) -> dict[int, FeatureRow]:
        """The rows as `backbone` gives them; none where it differs by more than the crop mode."""
        mode = backbone.preprocessing.crop_mode
        if with_crop_mode(backbone, "both").identity != self.backbone.identity or mode not in (
            "center",
            "squash",
            "both",
        ):
            return {}
        return {number: _select(row, mode, self.backbone) for number, row in self.rows.items()}


def with_crop_mode(backbone: Backbone, mode: CropMode) -> Backbone:
    """The backbone with another crop mode."""
    return replace(backbone, preprocessing=replace(backbone.preprocessing, crop_mode=mode))


def choose_crop_mode(
    file_list: FileList,
    sources: Sequence[Source],
    backbone: Backbone,
    runtime: Runtime,
    folds: int,
    seed: int,
    *,
    whole: tuple[CropMode, ...] = WHOLE,
) -> tuple[CropModeChoice, EmbeddedSample]:
    """The crop mode for these images, one of `whole` or `center`, and the rows of the at most 1,000 images that decided.

    With too few images to compare it is the last of `whole`.
    """
    backbone = with_crop_mode(backbone, "both")
    sample = _draw_sample(file_list, seed)
    rows = runtime.embed_rows([sources[number] for number in sample], runtime.engine(backbone), what="crop mode")
    table = collect_features(rows, len(rows), backbone.preprocessing.pool)
    files = replace(file_list, files=tuple(file_list.files[number] for number in sample), skips=())
    choice = _choose(labelled_dataset(files, table), rows, backbone, folds, seed, whole)
    return choice, EmbeddedSample(dict(zip(sample, rows, strict=True)), backbone)


def _choose(
    dataset: LabelledDataset,
    rows: Sequence[FeatureRow],
    backbone: Backbone,
    folds: int,
    seed: int,
    whole: tuple[CropMode, ...],
) -> CropModeChoice:
    used = np.flatnonzero(dataset.valid)
    groups = [len(np.unique(dataset.groups[used][dataset.labels[used] == label])) for label in (0, 1)]
    if min(groups) < max(_MIN_GROUPS, folds):
        return CropModeChoice(whole[-1], len(used), {})
    fold = assign_folds(dataset.names[used], dataset.groups[used], folds, seed)
    losses: dict[CropMode, NDArray[np.float64]] = {
        mode: _losses(_features(rows, mode, backbone)[used], dataset.labels[used], fold) for mode in (*whole, "center")
    }
    means = {mode: float(values.mean()) for mode, values in losses.items()}
    best_whole = min(whole, key=means.__getitem__)
    differences = losses[best_whole] - losses["center"]
    gain, error = float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
    return CropModeChoice("center" if gain > error else best_whole, len(used), means, gain, error)


def _losses(features: NDArray[np.float32], labels: NDArray[np.int8], fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """The out-of-fold log-loss of each image, (n,)."""
    logits = fit_head(features, labels, fold).logits
    return np.logaddexp(0.0, logits) - labels * logits


def _features(rows: Sequence[FeatureRow], mode: CropMode, backbone: Backbone) -> NDArray[np.float32]:
    pool = with_crop_mode(backbone, mode).preprocessing.pool
    table: FeatureTable = collect_features((_select(row, mode, backbone) for row in rows), len(rows), pool)
    return table.features


def _select(row: FeatureRow, mode: CropMode, backbone: Backbone) -> FeatureRow:
    """The row of one crop mode from a row of `both`."""
    if row.features is None or row.metadata is None or mode == "both":
        return row
    modes = [crop.crop_mode for crop in backbone.preprocessing.crops]
    features = row.features.reshape(len(modes), -1)[modes.index(mode)]
    return replace(row, features=features, metadata=row.metadata.of_model_input(modes.index(mode), len(modes)))


def _draw_sample(file_list: FileList, seed: int) -> list[int]:
    """The numbers of at most 1,000 files, in order; of each class its fraction."""
    labels = np.array([file.label for file in file_list.files])
    if len(labels) <= _MAX_IMAGES:
        return list(range(len(labels)))
    random, sample = np.random.default_rng(seed), list[int]()
    for label in np.unique(labels):
        numbers = np.flatnonzero(labels == label)
        count = round(_MAX_IMAGES * len(numbers) / len(labels))
        sample += random.choice(numbers, min(len(numbers), max(count, _MAX_IMAGES // 10)), replace=False).tolist()
    return sorted(sample)
