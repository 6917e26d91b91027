"""Predictions with their features: what a later training needs of an image, in float16, as the columns of a part."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Prediction
from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.data import ImageArray, ReadError
from twofold.embedding import FeatureRow, Metadata
from twofold.workflows.predict import Predictor
from twofold.workflows.scale.fingerprint_columns import fingerprint_fields, fingerprint_values
from twofold.workflows.scale.prediction_rows import PredictionFormat

FEATURES: Final = "features"
_LARGEST: Final = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePrediction:
    """A prediction, and what it was computed from: metadata, thumbnail and features (d,); None for an image without them."""

    prediction: Prediction
    metadata: Metadata | None = None
    thumbnail: ImageArray | None = field(default=None, repr=False)
    features: NDArray[np.float16] | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """The path of the image."""
        return self.prediction.path

    @property
    def reason(self) -> str | None:
        """Why it has no label."""
        return self.prediction.reason


class FeaturePredictor:
    """A predictor that gives the features, too. A context manager, which closes the predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._predictor.close()

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes of the predictor."""
        return self._predictor.notes

    def stream(self, sources: Iterable[Path | bytes]) -> Generator[FeaturePrediction]:
        """The rows of the sources, in their order. Raises DataError where features are no numbers of float16."""
        pool = self._predictor.model.backbone.preprocessing.pool
        with closing(self._predictor.stream_rows(sources)) as rows:
            for prediction, row in rows:
                yield _with_features(prediction, row, None if row.features is None else pool(row.features))


def _with_features(prediction: Prediction, row: FeatureRow, features: NDArray[np.float32] | None) -> FeaturePrediction:
    half = None if features is None else to_half(features, prediction.path)
    return FeaturePrediction(prediction, row.metadata, row.thumbnail, half)


def to_half(features: NDArray[np.float32], path: str) -> NDArray[np.float16]:
    """The features (d,) of an image as float16. Raises DataError where one is not finite, or beyond the range of float16."""
    largest = float(np.abs(features).max(initial=0.0))
    if not largest <= _LARGEST:
        raise DataError(
            f"The features of {path or 'an image'} go up to {largest:,.0f}, but float16 ends at {_LARGEST:,.0f}: predict without "
            "`save_features`, or train a bundle on another `backbone`."
        )
    return features.astype(np.float16)


@dataclass(frozen=True, slots=True)
class FeatureFormat:
    """The columns of a prediction, its metadata and thumbnail, and `features`, `width` numbers; null where there is no image."""

    width: int

    def schema(self) -> Any:
        """See `RowFormat`; here and below."""
        import pyarrow

        features = pyarrow.list_(pyarrow.float16(), self.width)
        more = {**fingerprint_fields(), FEATURES: features}
        return pyarrow.schema([*PredictionFormat().schema(), *map(pyarrow.field, more, more.values())])

    def values(self, rows: Sequence[FeaturePrediction], model: str) -> Mapping[str, Any]:
        return {
            **PredictionFormat().values([row.prediction for row in rows], model),
            **fingerprint_values([row.metadata for row in rows], [row.thumbnail for row in rows]),
            FEATURES: self._column([row.features for row in rows]),
        }

    def unanswered(self, path: str, reason: str, error: ReadError | None = None) -> FeaturePrediction:
        return FeaturePrediction(PredictionFormat().unanswered(path, reason, error))

    def at(self, row: FeaturePrediction, path: str) -> FeaturePrediction:
        return replace(row, prediction=replace(row.prediction, path=path))

    def _column(self, features: Sequence[NDArray[np.float16] | None]) -> Any:
        import pyarrow

        zeros = np.zeros(self.width, np.float16)
        numbers = np.concatenate([zeros[:0], *(zeros if row is None else row for row in features)])
        missing = pyarrow.array([row is None for row in features])
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(numbers), self.width, mask=missing)


def features_of(column: Any) -> NDArray[np.float16]:
    """The features (n, d) of a pyarrow.ChunkedArray of them, without rows that are null."""
    width = column.type.list_size
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, width) for chunk in column.chunks]
    return np.concatenate([np.empty((0, width), np.float16), *chunks])
