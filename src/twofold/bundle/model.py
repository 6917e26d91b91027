"""The model: a backbone, a head, a calibration and a rule, from images to predictions."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.core.notes import Note
from twofold.data import ReadError
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import Calibration, Familiarity, Head, Rule
from twofold.decision.rule import UNFAMILIAR, UNSURE
from twofold.embedding import Engine, FeatureRow, Probes, Runtime, Source, embed_batch, probe_images, stream_sources
from twofold.evaluation import Evaluation, evaluate
from twofold.networks import Backbone


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one image. A prediction without a label has a `reason`: the code of its `read_error`, `unsure`, or
    `unfamiliar`.

    `path` is empty for an image that is not a file. `familiarity` is None also where the model has none.
    """

    path: str
    label: str | None
    probability: float | None
    familiarity: float | None
    logit: float | None
    reason: str | None
    read_error: ReadError | None = field(default=None, repr=False)


OnRows = Callable[[Sequence[FeatureRow], Sequence[Prediction]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model. `classes` are (negative, positive); `rule` maps the probability of the positive class to one of them, or leaves
    the image undecided, also by its familiarity where the model has one.

    `probe_logits` are the logits of the probe images where the model was trained; None where the network fails on them.
    """

    classes: tuple[str, str]
    backbone: Backbone
    head: Head
    calibration: Calibration
    rule: Rule
    probe_logits: NDArray[np.float64] | None = field(default=None, repr=False)
    familiarity: Familiarity | None = None

    def engine(self, runtime: Runtime) -> Engine:
        """An engine for the backbone. It uses the fast dtype only where that reproduces the probe logits of the training."""
        if self.probe_logits is None:
            return runtime.engine(self.backbone)
        return runtime.engine(self.backbone, Probes(self.head.weights, self.head.bias, self.probe_logits))

    def with_probe_logits(self, runtime: Runtime, engine: Engine) -> Self:
        """The model with its logits for the probe images."""
        table = runtime.embed(probe_images(), engine, what="probe images")
        all_embedded = all(read_error is None for read_error in table.read_errors)
        return replace(self, probe_logits=self.logits(table.features) if all_embedded else None)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability of the positive class at the prevalence of the rule, (n, d) -> (n,)."""
        return self.probability_curve.probabilities(self.logits(features))

    @property
    def probability_curve(self) -> Calibration:
        """The calibration at the prevalence of the rule."""
        return self.calibration.at_prevalence(self.rule.prevalence)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logits, (n, d) -> (n,). Raises BackboneError where the head expects another number of features."""
        width = self.head.weights.size
        if len(features) and features.shape[1] != width:
            raise BackboneError(
                f"The network {self.backbone.name} gives {features.shape[1]} features, its head takes {width}; "
                "restore the bundle from a backup, or train it again."
            )
        return self.head.logits(features.reshape(-1, width))  # also where there are no rows

    def familiarities(self, features: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """The familiarity of images with features (n, d), (n,); None for a model without one."""
        return None if self.familiarity is None else self.familiarity.of(features)

    def stream(
        self,
        sources: Iterable[Source | str],
        runtime: Runtime,
        engine: Engine,
        add_note: Callable[[Note], None] = lambda note: None,
    ) -> Generator[Prediction]:
        """One prediction for every source, in order, as soon as it is available, in bounded memory. `sources` is read lazily.

        `add_note` is called where the cache cannot be used; notes on the network are in `engine.notes`.
        """
        return _predictions(self.stream_rows(sources, runtime, engine, add_note))

    def stream_rows(
        self,
        sources: Iterable[Source | str],
        runtime: Runtime,
        engine: Engine,
        add_note: Callable[[Note], None] = lambda note: None,
    ) -> Generator[tuple[Prediction, FeatureRow]]:
        """The same predictions, each with the feature row that it was computed from."""
        return self._stream(stream_sources(sources), runtime, engine, add_note)

    def _stream(
        self, sources: Iterator[Source], runtime: Runtime, engine: Engine, add_note: Callable[[Note], None]
    ) -> Generator[tuple[Prediction, FeatureRow]]:
        paths: deque[str] = deque()  # of the sources that were read and have no prediction yet

        def record_paths() -> Iterator[Source]:
            for source in sources:
                paths.append(str(source) if isinstance(source, Path) else "")
                yield source

        with closing(runtime.embed_chunks(record_paths(), engine, add_note)) as chunks:
            for rows in chunks:
                yield from zip(self.predict_rows([paths.popleft() for _ in rows], rows), rows, strict=True)

    def predict_batch(
        self, sources: Sequence[Source], runtime: Runtime, engine: Engine, on_rows: OnRows | None = None
    ) -> list[Prediction]:
        """The predictions for a few sources, computed in the thread of the caller. The engine must have started.

        `on_rows` gets their feature rows and predictions.
        """
        rows = embed_batch(sources, engine, max_pixels=runtime.options.max_pixels)
        predictions = self.predict_rows([str(source) if isinstance(source, Path) else "" for source in sources], rows)
        if on_rows is not None:
            on_rows(rows, predictions)
        return predictions

    def predict_rows(self, paths: Sequence[str], rows: Sequence[FeatureRow]) -> list[Prediction]:
        """The predictions for images at these paths with these feature rows, in their order."""
        pool = self.backbone.preprocessing.pool
        pooled = [pool(row.features) for row in rows if row.features is not None]
        # A row's scores do not depend on the other rows, to the bit: chunks may be of any length.
        scores = iter(self._scores(np.stack(pooled))) if pooled else iter(())
        return [
            self._prediction(path, *next(scores))
            if row.read_error is None
            else Prediction(path, None, None, None, None, row.read_error.code, row.read_error)
            for path, row in zip(paths, rows, strict=True)
        ]

    def _scores(self, features: NDArray[np.float32]) -> list[tuple[int, float, float | None, float]]:
        """Decision, probability, familiarity and logit of images with features (n, d)."""
        logits, familiarities = self.logits(features), self.familiarities(features)
        probabilities = self.probability_curve.probabilities(logits)
        decisions = self.rule.decide(probabilities, familiarities)
        column = [None] * len(logits) if familiarities is None else familiarities.tolist()
        return list(zip(decisions.tolist(), probabilities.tolist(), column, logits.tolist(), strict=True))

    def _prediction(
        self, path: str, decision: int, probability: float, familiarity: float | None, logit: float
    ) -> Prediction:
        reason = {UNSURE: "unsure", UNFAMILIAR: "unfamiliar"}.get(decision)
        return Prediction(path, None if reason else self.classes[decision], probability, familiarity, logit, reason)

    def evaluate(self, dataset: LabelledDataset, rows: NDArray[np.intp] | None = None) -> Evaluation:
        """The evaluation on the valid images of a labelled dataset, or on these `rows` of its usable images."""
        rows = np.flatnonzero(dataset.valid) if rows is None else rows
        return self.evaluate_features(dataset.table.features[rows], dataset.labels[rows], dataset.groups[rows])

    def evaluate_features(
        self, features: NDArray[np.float32], labels: NDArray[np.int8], groups: NDArray[np.int64]
    ) -> Evaluation:
        """The evaluation on features (n, d) with labels (n,) and groups (n,).

        Its probabilities are those of the calibration: the metrics of probabilities do not depend on the prevalence that the rule
        assumes, the decisions do.
        """
        probabilities = self.calibration.probabilities(self.logits(features))
        rule, probabilities = self.rule.restate(probabilities, self.calibration.prevalence)
        familiarity = self.familiarities(features)
        return evaluate(labels, probabilities, rule, classes=self.classes, groups=groups, familiarity=familiarity)


def _predictions(rows: Generator[tuple[Prediction, FeatureRow]]) -> Generator[Prediction]:
    with closing(rows):
        for prediction, _ in rows:
            yield prediction
