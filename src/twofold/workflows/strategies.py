"""How a model is fitted: a head on a frozen network, or the result of a training run. Both implement `Strategy`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from twofold.core.errors import DataError
from twofold.core.options import BackboneOptions, Mode
from twofold.data import FileList, IntensityRanges
from twofold.dataset.labelled import LabelledDataset, full_images, labelled_dataset
from twofold.decision import FamiliarityFit
from twofold.embedding import FeatureRow, FeatureTable, Runtime, Source
from twofold.networks import Backbone, Dtype, load_backbone, with_intensity_ranges
from twofold.workflows.crop_mode import SINGLE, WHOLE
from twofold.workflows.crops import CropsChoice, choose_crops
from twofold.workflows.embedded_sample import EmbeddedSample
from twofold.workflows.fit import DecisionPolicy, Fit, OutOfFoldScores, fit_decision, fit_gate, fit_model

if TYPE_CHECKING:
    from twofold.learning.training_run import TrainingRun


class Strategy(Protocol):
    """The three steps of a fit that depend on the mode of the training."""

    def backbone(self, dtype: Dtype) -> Backbone:
        """The network in this dtype."""

    def known_rows(self, backbone: Backbone) -> Mapping[int, FeatureRow]:
        """The rows of images that this network has embedded already, by their numbers."""

    def dataset(self, file_list: FileList, table: FeatureTable, sources: Sequence[Source]) -> LabelledDataset:
        """The labelled dataset of the features, with its duplicates."""

    def fit(self, dataset: LabelledDataset, backbone: Backbone) -> Fit:
        """The model, its out-of-fold scores and its evaluation."""


@dataclass(frozen=True, slots=True)
class FrozenStrategy:
    """Fits a head on the features of a frozen network, with cross-validation."""

    network: BackboneOptions
    ranges: IntensityRanges
    runtime: Runtime
    folds: int
    policy: DecisionPolicy
    crops: CropsChoice | None = None  # None: those of the options, or of the network
    sample: EmbeddedSample | None = None

    def backbone(self, dtype: Dtype) -> Backbone:
        """The network that the options name."""
        backbone = load_backbone(self.network, dtype, cache=self.runtime.folder, progress=self.runtime.progress)
        backbone = with_intensity_ranges(backbone, self.ranges)
        return backbone if self.crops is None else self.crops.apply(backbone)

    def with_crops_for(
        self, mode: Mode, file_list: FileList, sources: Sequence[Source], dtype: Dtype
    ) -> tuple["FrozenStrategy", CropsChoice | None]:
        """The strategy with the crops that suit these images, where the options leave them open, and the choice.

        A network that is fine-tuned sees one model input per image, and one from scratch that of its recipe.
        """
        network, single = self.network, mode != "frozen"
        if mode == "scratch" or (network.fixed_crop_mode is not None and (single or network.fixed_views is not None)):
            return self, None
        choice, sample = choose_crops(
            file_list,
            sources,
            self.backbone(dtype),
            network,
            self.runtime,
            self.folds,
            self.policy.seed,
            whole=SINGLE if single else WHOLE,
            windows=not single,
        )
        return replace(self, crops=choice, sample=sample), choice

    def known_rows(self, backbone: Backbone) -> Mapping[int, FeatureRow]:
        """The rows of the sample on which crop mode and views were chosen."""
        return {} if self.sample is None else self.sample.rows_for(backbone)

    def dataset(self, file_list: FileList, table: FeatureTable, sources: Sequence[Source]) -> LabelledDataset:
        """The labelled dataset, whose duplicates are searched here."""
        return labelled_dataset(file_list, table, full_images(sources, table, self.runtime, self.ranges))

    def fit(self, dataset: LabelledDataset, backbone: Backbone) -> Fit:
        """The model with head, calibration and rule fitted on the images without label conflicts."""
        return fit_model(dataset, np.flatnonzero(dataset.valid), backbone, self.folds, self.policy)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedStrategy:
    """Uses the network and head of a training run, and fits calibration and rule."""

    run: "TrainingRun"
    policy: DecisionPolicy
    ranges: IntensityRanges
    runtime: Runtime

    def backbone(self, dtype: Dtype) -> Backbone:
        """The trained network in another dtype."""
        return replace(self.run.backbone, dtype=dtype)

    def known_rows(self, backbone: Backbone) -> Mapping[int, FeatureRow]:
        """None: the trained network is new."""
        return {}

    def dataset(self, file_list: FileList, table: FeatureTable, sources: Sequence[Source]) -> LabelledDataset:
        """The labelled dataset with the duplicates of the training run, which determined its folds and its validation set."""
        images = full_images(sources, table, self.runtime, self.ranges)
        return LabelledDataset(file_list, table, file_list.negative_and_positive, self.run.duplicates, images)

    def fit(self, dataset: LabelledDataset, backbone: Backbone) -> Fit:
        """The model with calibration and rule fitted on the scores of the validation set, or of cross-validation.

        Raises DataError where files changed during the training.
        """
        if _digests(dataset.table.metadata) != _digests(self.run.metadata):
            raise DataError(
                "Images changed while the network was trained. Restore them and continue with `resume=True`, which keeps "
                "the trained weights, or start again with `force=True`."
            )
        scores = self._scores(dataset)
        return fit_decision(
            dataset,
            scores,
            backbone,
            self.run.head,
            None,
            self.policy,
            familiarity=self._familiarity(dataset, backbone, scores),
        )

    def _familiarity(
        self, dataset: LabelledDataset, backbone: Backbone, scores: OutOfFoldScores
    ) -> FamiliarityFit | None:
        """The familiarity, measured on the validation images: the network was trained on the others."""
        validation = self.run.validation[scores.rows]
        measured = replace(scores, folds=np.where(validation, 0, -1))
        train = np.flatnonzero(dataset.valid & ~self.run.validation)
        return fit_gate(dataset, backbone, measured, np.setdiff1d(train, scores.rows))

    def _scores(self, dataset: LabelledDataset) -> OutOfFoldScores:
        run = self.run
        if run.folds is not None and run.logits is not None:
            rows = np.flatnonzero(run.folds >= 0)
            return OutOfFoldScores(rows, run.folds[rows], run.logits[rows])
        rows = np.flatnonzero(run.validation)
        return OutOfFoldScores(rows, np.zeros(len(rows), np.int64), run.head.logits(dataset.table.features[rows]))


def _digests(table: "tuple[object, ...]") -> list[str | None]:
    return [getattr(metadata, "sha256", None) for metadata in table]
