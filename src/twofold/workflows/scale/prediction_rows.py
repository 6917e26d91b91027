"""The rows of predictions, as the columns of a part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from twofold.bundle.model import Prediction
from twofold.core.files import printable
from twofold.data import ReadError

_NUMBERS: Final = ("probability", "familiarity", "logit")
_COLUMNS: Final = ("path", "label", *_NUMBERS, "reason")


@dataclass(frozen=True, slots=True)
class PredictionFormat:
    """The columns of the command line, and the SHA-256 of the model."""

    def schema(self) -> Any:
        """See `RowFormat`; here and below."""
        import pyarrow

        kinds = {name: pyarrow.float64() if name in _NUMBERS else pyarrow.string() for name in (*_COLUMNS, "model")}
        return pyarrow.schema(list(kinds.items()))

    def values(self, rows: Sequence[Prediction], model: str) -> Mapping[str, Any]:
        columns = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
        return {**columns, "path": list(map(printable_path, columns["path"])), "model": [model] * len(rows)}

    def unanswered(self, path: str, reason: str, error: ReadError | None = None) -> Prediction:
        return Prediction(path, None, None, None, None, reason, error)

    def at(self, row: Prediction, path: str) -> Prediction:
        return replace(row, path=path)


def printable_path(path: str) -> str:
    """The path as text: a file name need not be UTF-8, so other bytes become escapes, as in tables of predictions."""
    return path if path.isprintable() else printable(path)
