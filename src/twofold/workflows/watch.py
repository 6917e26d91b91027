"""watch: whether the images that a model meets have changed, and how well it does, without labels."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.audit.metadata_features import image_traits
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.core.arrays import Reals
from twofold.core.errors import BundleError, DataError
from twofold.core.notes import Note, count_text
from twofold.embedding import FeatureRow, Runtime
from twofold.evaluation.prevalence_estimate import PrevalenceEstimate, estimate_prevalence
from twofold.evaluation.unlabelled_accuracy import LabelledDecisions, UnlabelledAccuracy, estimate_accuracy
from twofold.workflows.labelled_scores import LabelledScores, scores_of_table
from twofold.workflows.monitors import Monitor, monitors_of
from twofold.workflows.watch_state import DIGITS, RECENT, REMEMBERED, WatchState, new_state

MIN_IMAGES: Final = 30
"""Images from which prevalence and accuracy are estimated."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a monitor says: the wealth of its martingale now and at its highest, the limit, and the image, from 1, at which there
    was an alarm. `reference` and `recent` are medians of the training images and of the last images.
    """

    name: str
    wealth: float
    highest: float
    limit: float
    alarm: int | None
    reference: float
    recent: float | None


@dataclass(frozen=True, slots=True, eq=False)
class WatchResult:
    """What `watch` returns. `new` images were counted now, `state.images` since the life began.

    Prevalence and accuracy are those of the last `recent` images; where they cannot be told, they are None, and `unknown` says
    why.
    """

    classes: tuple[str, str]
    new: int
    recent: int
    state: WatchState = field(repr=False)
    readings: tuple[Reading, ...]
    prevalence: PrevalenceEstimate | None
    accuracy: UnlabelledAccuracy | None
    unknown: str
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """The readings of monitors that raised an alarm."""
        return tuple(reading for reading in self.readings if reading.alarm is not None)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        state = self.state
        return {
            "alarm": bool(self.alarms),
            "images": {
                "new": self.new,
                "counted": state.images,
                "repeated": state.repeated,
                "training_images": state.training_images,
                "read_errors": dict(state.read_errors),
            },
            "monitors": {reading.name: _without_name(reading) for reading in self.readings},
            "recent": self.recent,
            "positive": self.classes[1],
            "prevalence": None if self.prevalence is None else self.prevalence.as_json(),
            "accuracy": None if self.accuracy is None else self.accuracy.as_json(),
            "unknown": self.unknown or None,
            "notes": [asdict(note) for note in self.notes],
        }


class Watch:
    """A watch over a bundle: its monitors, and the scores that its estimates rest on.

    Raises BundleError for a bundle without scores.
    """

    def __init__(self, bundle: Bundle) -> None:
        if not (bundle.path / "scores.csv").exists():
            raise BundleError(
                f"{bundle.path} holds no scores.csv, as a bundle for handing on: watch with the whole bundle."
            )
        table = bundle.scores()
        self._bundle, self._labelled = bundle, scores_of_table(bundle, table)
        self.monitors, self.notes = monitors_of(bundle, table)
        self._training = {row["sha256"][:DIGITS] for row in bundle.file_rows() if row.get("sha256")}

    @property
    def identity(self) -> str:
        """The SHA-256 of the bundle."""
        return str(self._bundle.record["sha256"])

    def follow(self, paths: Sequence[Path], runtime: Runtime, state: WatchState | None = None) -> WatchResult:
        """The result after the images at these paths, in their order, and those of `state` before them."""
        before = new_state(self.identity, self.monitors) if state is None else state
        model, notes = self._bundle.model, list(self.notes)
        engine, after = model.engine(runtime), before
        with closing(runtime.embed_chunks(iter(paths), engine, notes.append)) as chunks:
            rows = (row for chunk in chunks for row in chunk)
            for block in _blocks(runtime.progress(rows, len(paths), "images")):
                after = self._count(block, after)
        return self._result(before, after, tuple(dict.fromkeys((*notes, *runtime.notes, *engine.notes))))

    def _count(self, rows: Sequence[FeatureRow], state: WatchState) -> WatchState:
        """The state after these rows."""
        errors = Counter(str(row.read_error.code) for row in rows if row.read_error is not None)
        readable = [row for row in rows if row.metadata is not None]
        known, new = set(state.digests), list[FeatureRow]()
        repeated = training = 0
        for row in readable:
            digest = _digest(row)
            training += digest in self._training
            repeated += digest in known and digest not in self._training
            if digest not in known and digest not in self._training:
                new.append(row)
            known.add(digest)
        if new:
            state = self._bet(new, state)
        return replace(
            state,
            images=state.images + len(new),
            repeated=state.repeated + repeated,
            training_images=state.training_images + training,
            read_errors=Counter(state.read_errors) + errors,
        )

    def _bet(self, rows: Sequence[FeatureRow], state: WatchState) -> WatchState:
        measures, martingales, recent = _measure(self._bundle.model, rows), {}, {}
        for monitor in self.monitors:
            name, values = monitor.name, measures[monitor.name]
            ties = np.array([_tie(row, name) for row in rows])
            martingale = state.martingales[name]
            martingales[name] = martingale.follow(values, ties, monitor.urn, monitor.bets, monitor.limit)
            recent[name] = (*state.recent[name], *values.tolist())[-RECENT:]
        digests = (*state.digests, *map(_digest, rows))[-REMEMBERED:]
        return replace(state, martingales=martingales, recent=recent, digests=digests)

    def _result(self, before: WatchState, after: WatchState, notes: tuple[Note, ...]) -> WatchResult:
        readings = tuple(_read(monitor, after) for monitor in self.monitors)
        prevalence, accuracy, unknown = self._estimate(after, readings)
        recent = max((len(values) for values in after.recent.values()), default=0)
        new, classes = after.images - before.images, self._bundle.model.classes
        return WatchResult(classes, new, recent, after, readings, prevalence, accuracy, unknown, notes)

    def _estimate(
        self, state: WatchState, readings: Iterable[Reading]
    ) -> tuple[PrevalenceEstimate | None, UnlabelledAccuracy | None, str]:
        """Prevalence and accuracy among the recent images, and why they cannot be told."""
        logits = np.array(state.recent.get("logit", ()), np.float64)
        if len(logits) < MIN_IMAGES:
            return None, None, f"{count_text(len(logits), 'image')} of {MIN_IMAGES} that this takes"
        changed = [reading.name for reading in readings if reading.alarm is not None and reading.name != "logit"]
        if changed:
            return None, None, f"the images themselves have changed ({', '.join(changed)})"
        labelled, curve = self._labelled, self._bundle.model.calibration
        recent, known = curve.probabilities(logits), curve.probabilities(labelled.logits)
        try:
            prevalence = estimate_prevalence(recent, labelled.labels, known, labelled.groups)
        except DataError as error:
            return None, None, str(error).rstrip(".")
        decisions = _decide(self._bundle.model, logits, state.recent.get("familiarity"))
        accuracy = estimate_accuracy(recent, decisions, prevalence.prevalence, self._decisions(labelled, known))
        return prevalence, accuracy, "" if accuracy is not None else "no image was decided"

    def _decisions(self, labelled: LabelledScores, probabilities: Reals) -> LabelledDecisions:
        decisions = _decide(self._bundle.model, labelled.logits, labelled.familiarity)
        return LabelledDecisions(labelled.labels, probabilities, decisions, labelled.groups, labelled.factor)


def _decide(model: Model, logits: Reals, familiarity: Any) -> Any:
    """The decisions of the model for logits (n,) and familiarity (n,), None where it has none."""
    known = familiarity is not None and model.familiarity is not None
    probabilities = model.probability_curve.probabilities(logits)
    return model.rule.decide(probabilities, np.asarray(familiarity, np.float64) if known else None)


def _measure(model: Model, rows: Sequence[FeatureRow]) -> Mapping[str, Reals]:
    """The measures of images that could be read, (n,) each."""
    pool = model.backbone.preprocessing.pool
    features = np.stack([pool(row.features) for row in rows if row.features is not None])
    metadata = [row.metadata for row in rows if row.metadata is not None]
    thumbnails = np.stack([row.thumbnail for row in rows if row.thumbnail is not None])
    familiarity = model.familiarities(features)
    measured = {"logit": model.logits(features), **image_traits(metadata, thumbnails)}
    return measured if familiarity is None else {**measured, "familiarity": familiarity}


def _blocks(rows: Iterable[FeatureRow], size: int = 256) -> Iterable[list[FeatureRow]]:
    block = list[FeatureRow]()
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _digest(row: FeatureRow) -> str:
    return "" if row.metadata is None else row.metadata.sha256[:DIGITS]


def _tie(row: FeatureRow, name: str) -> float:
    """A number in [0, 1) for an image and a measure, always the same: it places the image among those in its bin."""
    digest = hashlib.sha256(f"{_digest(row)} {name}".encode()).digest()
    return float(int.from_bytes(digest[:6], "big") / 2**48)


def _read(monitor: Monitor, state: WatchState) -> Reading:
    martingale, recent = state.martingales[monitor.name], state.recent[monitor.name]
    median = float(np.median(recent)) if recent else None
    numbers = martingale.wealth, martingale.highest, monitor.limit, martingale.alarm
    return Reading(monitor.name, *numbers, monitor.urn.median, median)


def _without_name(reading: Reading) -> dict[str, Any]:
    return {name: value for name, value in asdict(reading).items() if name != "name"}
