"""The ledger: one row for every path met, with its fate."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from twofold.writing import replacing

Fate = Literal["used", "flagged", "skipped"]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one path; None where unknown."""

    path: str
    label: str | None
    fate: Fate
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    group: int | None = None
    nearest: str | None = None  # the path of a copy
    suspicion: str | None = None  # the chance that the label is wrong


def write_ledger(rows: Iterable[LedgerRow], path: Path) -> None:
    """Write the rows as CSV in UTF-8, under a temporary name first: the file is whole, or not there.

    What cannot be written as UTF-8 in a file's name stands as a backslash and its number.
    """
    with replacing(path) as file:
        table = csv.writer(file)  # its own line ends: with others, a name with a carriage return is not quoted
        table.writerow(field.name for field in fields(LedgerRow))
        table.writerows(map(astuple, rows))
