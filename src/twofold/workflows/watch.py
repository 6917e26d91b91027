"""watch: whether the images that a model meets have changed, and how well it does, without labels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.bundle.score_quantiles import fit_quantiles, score_quantiles
from twofold.bundle.storage import Bundle
from twofold.core.notes import Note, count_text
from twofold.embedding import Runtime
from twofold.workflows.image_measures import measure_images
from twofold.workflows.labelled_scores import scores_of_table
from twofold.workflows.monitor_reading import Reading
from twofold.workflows.monitors import identity_of, monitors_of
from twofold.workflows.unlabelled_estimates import UnlabelledEstimates, estimate_unlabelled
from twofold.workflows.watch_life import WatchLife, training_digests
from twofold.workflows.watch_state import WatchState, new_state

MIN_IMAGES: Final = 30
"""Images from which prevalence and accuracy are estimated."""

_BLOCK: Final = 64  # images that are measured together


@dataclass(frozen=True, slots=True, eq=False)
class WatchResult:
    """What `watch` returns: the states before and after the images, what the monitors say, and estimates.

    The estimates are for the last `recent` images.
    """

    classes: tuple[str, str]
    before: WatchState = field(repr=False)
    state: WatchState = field(repr=False)
    recent: int
    readings: tuple[Reading, ...]
    estimates: UnlabelledEstimates
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def new(self) -> int:
        """The number of images that were counted now."""
        return self.state.images - self.before.images

    @property
    def repeated(self) -> int:
        """The number of images now that were met before."""
        return self.state.repeated - self.before.repeated

    @property
    def training_images(self) -> int:
        """The number of images now that are training images."""
        return self.state.training_images - self.before.training_images

    @property
    def read_errors(self) -> Counter[str]:
        """The number of files now that could not be read, by code."""
        return Counter(self.state.read_errors) - Counter(self.before.read_errors)

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """The readings of monitors that raised an alarm."""
        return tuple(reading for reading in self.readings if reading.alarm is not None)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "alarm": bool(self.alarms),
            "images": {
                "new": self.new,
                "counted": self.state.images,
                "repeated": self.repeated,
                "training_images": self.training_images,
                "read_errors": dict(self.read_errors),
            },
            "monitors": {reading.name: reading.as_json() for reading in self.readings},
            "recent": self.recent,
            "positive": self.classes[1],
            **self.estimates.as_json(),
            "notes": [asdict(note) for note in self.notes],
        }


class Watch:
    """A watch over a bundle: its monitors, and the scores that its estimates rest on; the slim form of a bundle has none.

    Raises BundleError where the bundle cannot be watched.
    """

    def __init__(self, bundle: Bundle) -> None:
        table = bundle.scores() if (bundle.path / "scores.csv").exists() else None
        quantiles = score_quantiles(bundle) if table is None else fit_quantiles(table)
        self._model, self._labelled = bundle.model, None if table is None else scores_of_table(bundle, table)
        self.monitors, self.notes = monitors_of(bundle, quantiles)
        self.identity = identity_of(bundle, self.monitors)
        self._training = training_digests(bundle)

    def follow(self, paths: Sequence[Path], runtime: Runtime, state: WatchState | None = None) -> WatchResult:
        """The result after the images at these paths, in their order, and those of `state` before them."""
        before = new_state(self.identity, self.monitors) if state is None else state
        life = WatchLife(self.monitors, self._training, before)
        notes, engine = list(self.notes), self._model.engine(runtime)
        with closing(runtime.embed_chunks(iter(paths), engine, notes.append)) as chunks:
            rows = iter(runtime.progress(chain.from_iterable(chunks), len(paths), "images"))
            while block := list(islice(rows, _BLOCK)):
                predictions = self._model.predict_rows([""] * len(block), block)
                life.add(measure_images(block, predictions))
        return self._result(before, life, tuple(dict.fromkeys((*notes, *runtime.notes, *engine.notes))))

    def _result(self, before: WatchState, life: WatchLife, notes: tuple[Note, ...]) -> WatchResult:
        after, readings = life.state, life.readings
        estimates = self._estimate(after, readings)
        recent = max((len(values) for values in after.recent.values()), default=0)
        return WatchResult(self._model.classes, before, after, recent, readings, estimates, notes)

    def _estimate(self, state: WatchState, readings: Iterable[Reading]) -> UnlabelledEstimates:
        """The estimates from the recent images, or why there are none."""
        logits = np.array(state.recent.get("logit", ()), np.float64)
        if len(logits) < MIN_IMAGES:
            return UnlabelledEstimates(unknown=f"{count_text(len(logits), 'image')} of {MIN_IMAGES} that this takes")
        changed = [reading.name for reading in readings if reading.alarm is not None and reading.name != "logit"]
        if changed:
            return UnlabelledEstimates(unknown=f"the images themselves have changed ({', '.join(changed)})")
        if self._labelled is None:
            return UnlabelledEstimates(unknown="that takes the whole bundle, with the scores of the training images")
        return estimate_unlabelled(self._model, self._labelled, logits, state.recent.get("familiarity"))
