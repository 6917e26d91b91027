"""The forecast of a run: its seconds and its memory, from the first second in which images are embedded.

That second is part of the work: its features are kept. What does not depend on images is known from measurements
(`python bench/forecast.py`), and scaled by the speed of a small calculation on this computer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

import numpy as np

from twofold.core.options import TrainingOptions
from twofold.core.system_memory import resident_memory
from twofold.data import Preprocessing
from twofold.dataset.labelled import fingerprints_of
from twofold.duplicates import count_comparisons
from twofold.embedding import BATCH, PROBES, FeatureRow, Runtime, collect_features
from twofold.workflows.dtype_check import IMAGES as CHECKED_IMAGES
from twofold.workflows.embedded_sample import sample_limit

_TRIAL: Final = 1.0  # seconds
_MIN_IMAGES: Final = 2 * BATCH  # embedded in the trial: with fewer a rate says little
_ALIKE_ROWS: Final = 150  # images among which pairs that look alike are counted
_WARM_CHUNKS: Final = 4  # that were in flight while the network was compiled
_PACE_SECONDS: Final = 0.1
_CHANGE: Final = 1.2  # a forecast that changes by this factor is told again
_FLOAT_FACTOR: Final = 2.2  # the time of an image in float32 against int8

# Measured on a computer that does the calculation of `measure_pace` in _REFERENCE seconds.
_REFERENCE: Final = 0.0005
_START: Final = 1.0  # seconds before the first image
_FIT_START: Final = 3.0  # seconds of a training without images: further networks are compiled, the report is written
_FIT_FEATURE: Final = 1.1e-6  # seconds for each image and feature: fits, evaluation, audit, report
_COMPARISON: Final = 0.028  # seconds for each pair of images that is compared at full size
_COMPARISONS: Final = 1.4  # of an image at most, on average: pairs are chosen among its nearest
_TABLES: Final = 3.0  # copies of the features while the model is fitted
_IMAGE_BYTES: Final = 5_000  # of an image besides its features: thumbnail, metadata, scores
_FIT_BYTES: Final = 85e6  # of the libraries that fit
_FLOAT_BYTES: Final = 90e6  # of the network in float32
_REPORT_BYTES: Final = 200e6  # of the report with its evidence maps, when one copy of the features is left


@dataclass(frozen=True, slots=True)
class Forecast:
    """The seconds and the peak of memory, in bytes, of a whole run over `images`; about `known` of them are in the cache."""

    seconds: float
    bytes: float
    images: int
    known: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run embeds and computes: `images`, those of a `test` set, and whether it is a `training`.

    With `chooses_crops` a sample is embedded first, with all crops. `float_check` says that images are embedded in float32, too.
    """

    images: int
    test: int = 0
    training: bool = False
    chooses_crops: bool = False
    float_check: bool = False

    def sample(self, inputs: int) -> int:
        """The images of the sample, of which each has this many model inputs; 0 where none is drawn."""
        return min(self.images, sample_limit(inputs)) if self.chooses_crops else 0


def training_workload(images: int, test: int, options: TrainingOptions, *, fast: bool) -> Workload:
    """The workload of a training on a frozen network; `fast` where its dtype is not float32."""
    network = options.backbone
    chooses = network.fixed_crop_mode is None or network.fixed_views is None
    return Workload(images, test, True, chooses, fast and network.dtype == "auto")


@dataclass(slots=True)
class Forecaster:
    """Calls `announce` with the forecast once, when images were embedded for a second, or when all came from the cache sooner.

    It is told again where another choice of crops changes it.
    """

    workload: Workload
    announce: Callable[[Forecast], None]
    clock: Callable[[], float] = perf_counter
    pace: Callable[[], float] = field(default_factory=lambda: measure_pace)
    memory: Callable[[], int] = resident_memory
    _start: float = field(init=False)
    _slowness: float = field(init=False)
    _phase: "_Phase | None" = field(init=False, default=None)
    _finished: int = field(init=False, default=0)  # images of earlier phases
    _seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._start = self.clock()
        self._slowness = self.pace() / _REFERENCE if self.workload.training else 1.0

    def watch(self, runtime: Runtime) -> Runtime:
        """The runtime with this forecaster."""
        return replace(runtime, on_embedded=self.add)

    def add(self, rows: Sequence[FeatureRow], new: int, preprocessing: Preprocessing) -> None:
        """Takes note of a chunk of feature rows, of which `new` were not in the cache."""
        now = self.clock()
        embedded = self._finished + (0 if self._phase is None else self._phase.rows)
        if embedded >= self.workload.images:  # this is the test set, or images are embedded once more
            return
        if self._phase is None or self._phase.preprocessing != preprocessing:
            self._finished += 0 if self._phase is None else self._phase.rows
            self._phase = _Phase(preprocessing, now)
        phase = self._phase
        phase.add(rows, new, now)
        if phase.is_announced or not phase.decisive(self._expected(phase)):
            return
        phase.is_announced = True
        forecast = self._forecast(phase, now)
        if self._seconds is None or not 1 / _CHANGE < forecast.seconds / self._seconds < _CHANGE:
            self._seconds = forecast.seconds
            self.announce(forecast)

    def _expected(self, phase: "_Phase") -> int:
        """The images of the phase."""
        if self._finished == 0 and self.workload.chooses_crops:
            return self.workload.sample(phase.inputs)
        return max(0, self.workload.images - self._finished)

    def _forecast(self, phase: "_Phase", now: float) -> Forecast:
        work, missing = self.workload, phase.new / max(phase.rows, 1)
        images = max(0, work.images - self._finished - phase.rows)
        if work.training and missing:
            images += work.test + PROBES
        checked = _FLOAT_FACTOR * min(CHECKED_IMAGES, work.images) if work.float_check else 0
        seconds = now - self._start + self._slowness * _START + (images + checked) * missing * phase.seconds_per_image
        if work.training:
            seconds += self._slowness * self._fit_seconds(phase)
        known = round(work.images * (1 - missing))
        return Forecast(seconds, self._memory(phase), work.images, known)

    def _fit_seconds(self, phase: "_Phase") -> float:
        """The seconds of what follows the embedding, on the computer of the measurements."""
        work, alike = self.workload, phase.alike_fraction()
        compared = sum(images * expected_comparisons(images, alike) for images in (work.images, work.test))
        return _FIT_START + _FIT_FEATURE * work.images * phase.width + _COMPARISON * compared

    def _memory(self, phase: "_Phase") -> float:
        work, used = self.workload, float(self.memory())
        if not work.training:
            return used
        features = (work.images + work.test) * phase.width * 4
        fit = _TABLES * features + _FIT_BYTES + (_FLOAT_BYTES if work.float_check and phase.new else 0)
        return used + work.images * _IMAGE_BYTES + max(fit, features + _REPORT_BYTES)


def expected_comparisons(images: int, alike: float) -> float:
    """The pairs per image that are compared at full size, where this fraction of all pairs looks alike.

    An image has `alike * images` partners on average; it is compared where it has any (Poisson).

    >>> [round(expected_comparisons(images, 0.005), 2) for images in (10, 200, 5000)]
    [0.07, 0.88, 1.4]
    """
    return _COMPARISONS * -math.expm1(-alike * images)


@dataclass(slots=True)
class _Phase:
    """Images that are embedded with one preprocessing."""

    preprocessing: Preprocessing
    first: float
    rows: int = 0
    new: int = 0
    width: int = 0  # features of an image
    is_announced: bool = False
    _usable: list[FeatureRow] = field(default_factory=list)  # the first of them
    _chunks: int = 0  # with new images
    _trial_start: float = math.nan
    _trial_images: int = 0
    _trial_seconds: float = 0.0

    @property
    def inputs(self) -> int:
        """The model inputs of an image."""
        return len(self.preprocessing.crops)

    @property
    def seconds_per_image(self) -> float:
        """Of an image that is not in the cache."""
        return self._trial_seconds / self._trial_images if self._trial_images else 0.0

    def add(self, rows: Sequence[FeatureRow], new: int, now: float) -> None:
        """Takes note of a chunk of rows."""
        self._chunks += new > 0
        if self._chunks <= _WARM_CHUNKS:
            self._trial_start = now
        elif new:
            self._trial_images += new
            self._trial_seconds = now - self._trial_start
        self.rows, self.new = self.rows + len(rows), self.new + new
        missing = _ALIKE_ROWS - len(self._usable)
        self._usable += [row for row in rows if row.features is not None][:missing]
        if self._usable and self._usable[0].features is not None:
            self.width = self.preprocessing.pool(self._usable[0].features).size

    def decisive(self, expected: int) -> bool:
        """Whether the trial lasted long enough, or nothing is left to embed."""
        return self.rows >= expected or (self._trial_seconds >= _TRIAL and self._trial_images >= _MIN_IMAGES)

    def alike_fraction(self) -> float:
        """The fraction of all pairs that look alike, so that they are compared at full size."""
        count = len(self._usable)
        if count < 2:
            return 0.0
        table = collect_features(self._usable, count, self.preprocessing.pool)
        table = replace(table, moments=self.preprocessing.moments)
        return count_comparisons(fingerprints_of(table)) / (count * (count - 1) / 2)


def measure_pace() -> float:
    """The mean seconds of a small calculation in one thread, sorting, over a tenth of a second."""
    values, start, count = np.random.default_rng(0).normal(size=(64, 2048)), perf_counter(), 0
    while perf_counter() - start < _PACE_SECONDS:
        np.sort(values, axis=1)
        count += 1
    return (perf_counter() - start) / count
