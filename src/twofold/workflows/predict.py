"""The Predictor: predictions by a model that stays compiled, for any number of threads."""

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from twofold.bundle.model import Model, OnRows, Prediction
from twofold.bundle.storage import Bundle
from twofold.core.data_frame import records_frame
from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.embedding import Engine, FeatureRow, Runtime, Source, image_sources


class Predictions(list[Prediction]):
    """A list of predictions."""

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with the columns of the command line: path, label, probability, familiarity, logit and reason.

        Raises UsageError where pandas is not installed.
        """
        return records_frame(self, Prediction).drop(columns="read_error")


class Predictor:
    """Predictions of a bundle or a model; its network is compiled once, at the first image that is not in the cache.

    Any number of threads may call it at once. They share the inference requests, one for each thread of `runtime`, and their
    predictions are bit-identical to those of one thread. Without a `runtime` nothing is cached between runs.

    As a context manager it releases the network at the end of the block. `predict`, `stream` and `warm` raise BundleError, or
    BackboneError for a model, where the network cannot be run, and UsageError after `close`.

    >>> with Predictor(load_bundle("pets.twofold")) as predictor:  # doctest: +SKIP
    ...     for prediction in predictor.stream(paths):
    ...         print(prediction.path, prediction.label)
    """

    def __init__(self, bundle: Bundle | Model, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or Runtime(Path(os.devnull), RuntimeOptions(cache=False))
        self._bundle = bundle
        self._engine: Engine | None = self.model.engine(self.runtime)
        self._notes: dict[Note, None] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Releases the network. Running streams still finish; new calls raise UsageError."""
        with self._lock:
            if self._engine is not None:
                self._notes |= dict.fromkeys(self._engine.notes)
            self._engine = None

    def warm(self) -> None:
        """Compiles the network now, also for single images, so that later calls do not wait for it."""
        self._open_engine().warm()

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes so far, each once: what was assumed, and what could not be used."""
        with self._lock:
            engine = () if self._engine is None else self._engine.notes
            return tuple(dict.fromkeys((*self.runtime.notes, *self._notes, *engine)))

    def predict(self, sources: Iterable[Source | str]) -> "Predictions":
        """One prediction for every path, bytes, PIL image or array, in the order given.

        An image that cannot be read has no label; its prediction has the `read_error`. Raises DataError where `sources` is not a
        list of images, such as a single image.
        """
        images = image_sources(sources)
        with closing(self.stream(images)) as predictions:
            return Predictions(self.runtime.progress(predictions, len(images), "images"))

    def stream(self, sources: Iterable[Source | str]) -> Generator[Prediction]:
        """The same predictions in bounded memory, in order, each as soon as it is available.

        `sources` is read lazily. Closing the generator early stops the work. The generator may be passed from thread to thread,
        but only one thread at a time may advance it.
        """
        return self._bundle.stream(sources, self.runtime, self._open_engine(), self._add_note)

    def stream_rows(self, sources: Iterable[Source | str]) -> Generator[tuple[Prediction, FeatureRow]]:
        """The same, each with the feature row that the prediction was computed from."""
        return self._bundle.stream_rows(sources, self.runtime, self._open_engine(), self._add_note)

    @property
    def model(self) -> Model:
        """The model that predicts."""
        return self._bundle.model if isinstance(self._bundle, Bundle) else self._bundle

    def predict_batch(self, sources: Sequence[Source], on_rows: OnRows | None = None) -> list[Prediction]:
        """The same predictions for a few images, computed in the thread of the caller, for callers with threads of their own.

        Call `warm` first, in one thread. `on_rows` gets their feature rows and predictions.
        """
        return self._bundle.predict_batch(sources, self.runtime, self._open_engine(), on_rows)

    @property
    def batch(self) -> int:
        """The number of images that are computed together at best."""
        return self._open_engine().batch

    def _open_engine(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise UsageError("The predictor is closed: make a new one.")
        return engine

    def _add_note(self, note: Note) -> None:
        with self._lock:
            self._notes[note] = None
