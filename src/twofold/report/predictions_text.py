"""Predictions as CSV and as JSON, written row by row."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

from twofold.bundle.model import Prediction
from twofold.core.files import open_replacement, printable

_COLUMNS: Final = ("path", "label", "probability", "familiarity", "logit", "reason")


def write_predictions(predictions: Iterable[Prediction], output: TextIO, out: Path | None, *, as_json: bool) -> int:
    """Writes each prediction as soon as it is available, and returns their number.

    CSV rows go to `output` or to the file `out`, which replaces an older file after the last row. With `as_json`, a JSON list
    goes to `output` instead.
    """
    with ExitStack() as stack:
        if out is not None:
            predictions = _to_csv(predictions, stack.enter_context(open_replacement(out)))
        if as_json:
            predictions = _to_json(predictions, output)
        elif out is None:
            predictions = _to_csv(predictions, output, flush=True)
        return sum(1 for _ in predictions)


def _to_csv(predictions: Iterable[Prediction], file: TextIO, *, flush: bool = False) -> Iterator[Prediction]:
    """The same predictions, each written to the file before it is passed on."""
    file.write(_csv_row(*_COLUMNS))
    for prediction in predictions:
        numbers = (prediction.probability, prediction.familiarity, prediction.logit)
        cells = ("" if number is None else f"{number:.6g}" for number in numbers)
        file.write(_csv_row(printable(prediction.path), prediction.label or "", *cells, prediction.reason or ""))
        if flush:
            file.flush()
        yield prediction


def _csv_row(*cells: str) -> str:
    row = io.StringIO(newline="")
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue()


def _to_json(predictions: Iterable[Prediction], file: TextIO) -> Iterator[Prediction]:
    """The same predictions, each written to the file in the format of `json.dumps(…, indent=1)`."""
    start = "["
    for prediction in predictions:
        text = json.dumps({name: getattr(prediction, name) for name in _COLUMNS}, indent=1, allow_nan=False)
        file.write(f"{start}\n " + text.replace("\n", "\n "))
        file.flush()
        start = ","
        yield prediction
    file.write("[]\n" if start == "[" else "\n]\n")
