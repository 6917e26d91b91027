"""What an audit found in a sample."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.audit.enough import Enough
from twofold.audit.ledger import ledger, told
from twofold.audit.shortcuts import Shortcuts, find_shortcuts
from twofold.audit.suspects import Suspects, find_suspects
from twofold.audit.traits import traits_of
from twofold.data import LedgerRow, Note, folds
from twofold.errors import DataError
from twofold.leaks import Leak
from twofold.options import DecisionOptions
from twofold.sample import Sample

LEAST: Final = 10  # pictures of each class from which on labels are judged


@dataclass(frozen=True, slots=True)
class Against:
    """The pictures of DATA that duplicate some of OTHER, and those of OTHER that duplicate some of DATA, each once."""

    own: tuple[Leak, ...]  # as `train OTHER --test DATA` finds them
    others: tuple[Leak, ...]  # as `train DATA --test OTHER` does

    def as_json(self) -> dict[str, Any]:
        """Two blocks; in both, `path` is the picture that is counted."""
        blocks = {"against": self.own, "against_other": self.others}
        return {name: [asdict(leak) for leak in leaks] for name, leaks in blocks.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """`rows` are the usable pictures that were scored, of which `suspects` speaks; `against` has what OTHER has, too."""

    sample: Sample = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    suspects: Suspects | None
    shortcuts: Shortcuts | None
    enough: Enough | None = None
    against: Against | None = None

    @property
    def suspicion(self) -> NDArray[np.float64]:
        """The chance that each label is wrong, NaN where it was not judged, (used,)."""
        known = np.full(len(self.sample.labels), np.nan)
        if self.suspects is not None:
            known[self.rows] = self.suspects.suspicion
        return known

    @property
    def listed(self) -> NDArray[np.int64]:
        """The usable pictures whose labels are worth a look, the most suspicious first."""
        return self.rows[self.suspects.listed] if self.suspects is not None else np.empty(0, np.int64)

    def ledger(self) -> list[LedgerRow]:
        """One row for every path met, sorted by path."""
        return ledger(self.sample, self.suspicion, self.listed)

    def notes(self) -> list[Note]:
        shortcuts = () if self.shortcuts is None else self.shortcuts.texts
        return [
            *self.sample.notes(),
            *self._unjudged(),
            *self._doubts(),
            *(Note("shortcut", text) for text in shortcuts),
        ]

    def as_json(self) -> dict[str, Any]:
        """The blocks that `audit --json` prints, but for data and notes."""
        rows = self.ledger()
        fates = Counter(row.fate for row in rows)
        paths, items, used = self.sample.paths, self.sample.listing.items, self.sample.table.used
        doubts = self.suspicion
        return {
            "fates": {fate: fates[fate] for fate in ("used", "flagged", "skipped")},
            "reasons": dict(sorted(Counter(row.reason for row in rows if row.reason).items())),
            "copies": told(self.sample, self.sample.copies),
            **({} if self.against is None else self.against.as_json()),
            "suspects": [
                {"path": paths[row], "label": items[used[row]].label, "suspicion": round(float(doubts[row]), 4)}
                for row in self.listed
            ],
            "suspects_expected": None if self.suspects is None else asdict(self.suspects.expected),
            "shortcuts": [] if self.shortcuts is None else [asdict(shortcut) for shortcut in self.shortcuts.found],
            "shortcuts_together": None if self.shortcuts is None else asdict(self.shortcuts.together),
            **({} if self.enough is None else {"enough": {**asdict(self.enough), "text": self.enough.text}}),
        }

    def _unjudged(self) -> list[Note]:
        if self.suspects is not None or not self.sample.table.vectors.size:
            return []
        text = "Labels were not judged, because a class has too few pictures for it that are no copies of one another: add some."
        return [Note("labels-not-judged", text)]

    def _doubts(self) -> list[Note]:
        if self.suspects is None or not len(self.listed):
            return []
        expected, first = self.suspects.expected, self.sample.paths[self.listed[0]]
        text = (
            f"Labels that the rest of the data contradicts: {len(self.listed)} are worth a look, such as {first}; in all "
            f"about {expected.value:.0f} are wrong ({expected.low:.0f} to {expected.high:.0f}). The ledger names each."
        )
        return [Note("suspects", text)]


def audit_sample(
    sample: Sample,
    rows: NDArray[np.int64],
    logits: NDArray[np.floating],
    options: DecisionOptions,
    *,
    enough: Enough | None = None,
    against: Against | None = None,
) -> Audit:
    """The audit of a sample, `rows` of whose usable pictures have honest `logits`: of a head or network that did not see them.

    Labels are judged where at least `LEAST` of each class have logits.
    """
    labels = sample.labels[rows]
    suspects = find_suspects(logits, labels) if min(np.bincount(labels, minlength=2)) >= LEAST else None
    return Audit(sample, rows, suspects, look_for_shortcuts(sample, options), enough, against)


def look_for_shortcuts(sample: Sample, options: DecisionOptions) -> Shortcuts | None:
    """What gives the label of the pictures that count away, beside what they show; None where these are too few for folds."""
    rows = np.flatnonzero(sample.agreed)
    parts = folds_of(sample, rows, options)
    return (
        None if parts is None else find_shortcuts(traits_of(sample, rows), sample.labels[rows], parts, sample.classes)
    )


def folds_of(sample: Sample, rows: NDArray[np.int64], options: DecisionOptions) -> NDArray[np.int64] | None:
    """The fold of each of these usable pictures; None where a class cannot be dealt out to that many."""
    try:
        return folds(sample.names[rows], sample.groups[rows], options.folds, options.seed)
    except DataError:
        return None
