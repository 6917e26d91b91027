"""What answers: a backbone, a head, a calibration and a threshold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.decision import Calibration, Head
from twofold.embedding import Backbone, Engine, Machine, Probes, Source, Table, image_sources, probe_images
from twofold.errors import BackboneError
from twofold.evaluation import Evaluation, evaluate
from twofold.sample import Sample


@dataclass(frozen=True, slots=True)
class Answer:
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
    threshold: float
    probe_logits: NDArray[np.float64] | None = field(default=None, repr=False)

    def engine(self, machine: Machine) -> Engine:
        """An engine for the backbone, whose fast arithmetic is that of the training, or is not used."""
        if self.probe_logits is None:
            return machine.engine(self.backbone)
        return machine.engine(self.backbone, Probes(self.head.weights, self.head.bias, self.probe_logits))

    def probed(self, machine: Machine, engine: Engine) -> Self:
        """The model with what it says of the probe images."""
        table = machine.observe(probe_images(), engine, what="probe images")
        known = all(refusal is None for refusal in table.refusals)
        return replace(self, probe_logits=self.logits(table.vectors) if known else None)

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The chance of the positive class for each vector, (n, d) -> (n,)."""
        return self.calibration.probabilities(self.logits(vectors))

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logit of each vector, (n, d) -> (n,). BackboneError where the head is one for vectors of another width."""
        width = self.head.weights.size
        if len(vectors) and vectors.shape[1] != width:
            raise BackboneError(
                f"The network {self.backbone.name} gives vectors of {vectors.shape[1]} numbers, its head takes {width}; "
                "take the bundle from a copy, or train it again."
            )
        return self.head.logits(vectors.reshape(-1, width))  # also where there is none

    def predict(self, sources: Iterable[Source | str], machine: Machine, engine: Engine | None = None) -> list[Answer]:
        """One answer for every source, in the order given; `engine` may be one that is kept running.

        DataError where `sources` is no list of images, as a single one is not.
        """
        asked = image_sources(sources)
        table = machine.observe(asked, engine or self.engine(machine))
        return self.answers([str(source) if isinstance(source, Path) else "" for source in asked], table)

    def answers(self, names: Sequence[str], table: Table) -> list[Answer]:
        """The answers for a table of observations, a row for every name."""
        logits = self.logits(table.vectors)
        scored = zip(logits, self.calibration.probabilities(logits), strict=True)
        return [
            Answer(name, None, None, None, refusal.code) if refusal is not None else self._answer(name, *next(scored))
            for name, refusal in zip(names, table.refusals, strict=True)
        ]

    def evaluate(self, sample: Sample, rows: NDArray[np.intp] | None = None) -> Evaluation:
        """How the model does on the labelled pictures that count, or on those `rows` of the usable ones."""
        rows = np.flatnonzero(sample.agreed) if rows is None else rows
        probabilities = self.probabilities(sample.table.vectors[rows])
        return evaluate(sample.labels[rows], probabilities, self.threshold, classes=self.classes)

    def _answer(self, name: str, logit: float, probability: float) -> Answer:
        return Answer(name, self.classes[int(probability >= self.threshold)], float(probability), float(logit), None)
