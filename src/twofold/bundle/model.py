"""What answers: a backbone, a head, a calibration and a threshold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import Calibration, Head, Rule
from twofold.embedding import Engine, FeatureTable, Probes, Runtime, Source, image_sources, probe_images
from twofold.evaluation import Evaluation, evaluate
from twofold.networks import Backbone


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one picture; without a label there is a `reason` why not."""

    path: str
    label: str | None
    probability: float | None
    logit: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """`classes` are (negative, positive); `threshold` is the probability from which on the answer is the positive class.

    `probe_logits` are those of the probe images on the machine of the training; None where the network has none for them.
    """

    classes: tuple[str, str]
    backbone: Backbone
    head: Head
    calibration: Calibration
    rule: Rule
    probe_logits: NDArray[np.float64] | None = field(default=None, repr=False)

    def engine(self, runtime: Runtime) -> Engine:
        """An engine for the backbone, whose fast arithmetic is that of the training, or is not used."""
        if self.probe_logits is None:
            return runtime.engine(self.backbone)
        return runtime.engine(self.backbone, Probes(self.head.weights, self.head.bias, self.probe_logits))

    def probed(self, runtime: Runtime, engine: Engine) -> Self:
        """The model with what it says of the probe images."""
        table = runtime.embed(probe_images(), engine, what="probe images")
        known = all(read_error is None for read_error in table.read_errors)
        return replace(self, probe_logits=self.logits(table.features) if known else None)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The chance of the positive class for each vector, (n, d) -> (n,)."""
        return self.calibration.probabilities(self.logits(features))

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logit of each vector, (n, d) -> (n,). BackboneError where the head is one for vectors of another width."""
        width = self.head.weights.size
        if len(features) and features.shape[1] != width:
            raise BackboneError(
                f"The network {self.backbone.name} gives vectors of {features.shape[1]} numbers, its head takes {width}; "
                "take the bundle from a copy, or train it again."
            )
        return self.head.logits(features.reshape(-1, width))  # also where there is none

    def predict(
        self, sources: Iterable[Source | str], runtime: Runtime, engine: Engine | None = None
    ) -> list[Prediction]:
        """One answer for every source, in the order given; `engine` may be one that is kept running.

        DataError where `sources` is no list of images, as a single one is not.
        """
        asked = image_sources(sources)
        table = runtime.embed(asked, engine or self.engine(runtime))
        return self.answers([str(source) if isinstance(source, Path) else "" for source in asked], table)

    def answers(self, names: Sequence[str], table: FeatureTable) -> list[Prediction]:
        """The answers for a table of observations, a row for every name."""
        logits = self.logits(table.features)
        probabilities = self.calibration.probabilities(logits)
        labels = (self.classes[decision] for decision in self.rule.decide(probabilities))
        scored = zip(labels, probabilities.tolist(), logits.tolist(), strict=True)
        return [
            Prediction(name, *next(scored), None)
            if read_error is None
            else Prediction(name, None, None, None, read_error.code)
            for name, read_error in zip(names, table.read_errors, strict=True)
        ]

    def evaluate(self, dataset: LabelledDataset, rows: NDArray[np.intp] | None = None) -> Evaluation:
        """How the model does on the labelled pictures that count, or on those `rows` of the usable ones."""
        rows = np.flatnonzero(dataset.valid) if rows is None else rows
        probabilities = self.probabilities(dataset.table.features[rows])
        return evaluate(dataset.labels[rows], probabilities, self.rule, classes=self.classes)
