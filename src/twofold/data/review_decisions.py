"""Review decisions: what a person decided about images, by content hash, and what is left of it after undoing."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

from twofold.core.files import printable

DecisionKind = Literal["label", "keep", "exclude", "unsure", "undo", "not-duplicate"]

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SESSION: Final = re.compile(r"[0-9a-f]{8}")  # of fixed length, so that a line that was cut is recognised
_CONTROLS: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """One row of a decisions file. `sha256` is the hash of the file's bytes, wherever the file lies.

    `value` is the class of a `label`, the second hash of `not-duplicate`, and the time of the decision that `undo` takes back.
    `path` and `label_before` are for people. `drawn_from` is the number of images that a random draw was made from; None where
    the image was shown by its rank.
    """

    time: str  # ISO 8601 with microseconds: with `sha256` it identifies the decision
    sha256: str
    kind: DecisionKind
    value: str = ""
    path: str = ""
    label_before: str = ""
    drawn_from: int | None = None
    session: str = "00000000"


COLUMNS: Final = tuple(field.name for field in fields(ReviewDecision))
HEADER: Final = ",".join(COLUMNS) + "\r\n"


class ReviewDecisions:
    """The decisions that hold: of each image the latest that was not undone. `damaged` counts lines that are none."""

    def __init__(self, decisions: Iterable[ReviewDecision] = (), damaged: int = 0) -> None:
        self.damaged = damaged
        self._held: dict[tuple[str, str], ReviewDecision] = {}  # in the order of the file
        self._answers: dict[str, list[ReviewDecision]] = {}
        for decision in decisions:
            self.add(decision)

    def add(self, decision: ReviewDecision) -> None:
        """Takes the next row of the file."""
        key = decision.sha256, decision.time
        if decision.kind != "undo":
            self._held[key] = decision
            if decision.kind != "not-duplicate":
                self._answers.setdefault(decision.sha256, []).append(decision)
            return
        undone = self._held.pop((decision.sha256, decision.value), None)
        if undone is not None and undone.kind != "not-duplicate":
            answers = self._answers[decision.sha256]
            answers.remove(undone)
            if not answers:
                del self._answers[decision.sha256]

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[ReviewDecision]:
        """All decisions that were not undone, in the order of the file."""
        return iter(self._held.values())

    @property
    def last(self) -> ReviewDecision | None:
        """The decision that undoing takes back next."""
        return next(reversed(self._held.values()), None)

    @property
    def answers(self) -> dict[str, ReviewDecision]:
        """The decision about the label of each image that has one, by hash."""
        return {sha256: decisions[-1] for sha256, decisions in self._answers.items()}

    def answer(self, sha256: str) -> ReviewDecision | None:
        """The decision about the label of this image."""
        decisions = self._answers.get(sha256)
        return decisions[-1] if decisions else None

    @property
    def excluded(self) -> frozenset[str]:
        """The hashes of the images that are not to be used."""
        return frozenset(sha256 for sha256, answer in self.answers.items() if answer.kind == "exclude")

    @property
    def distinct(self) -> frozenset[tuple[str, str]]:
        """The pairs of hashes, each sorted, that are no duplicates."""
        pairs = ((entry.sha256, entry.value) for entry in self if entry.kind == "not-duplicate")
        return frozenset((min(pair), max(pair)) for pair in pairs)


def one_line(text: str) -> str:
    """The text as a decisions file holds it: control characters and invalid UTF-8 as backslash escapes.

    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    return printable("".join(_CONTROLS.get(character, character) for character in text))


def line_of(decision: ReviewDecision) -> bytes:
    """The row as one line of CSV."""
    cells = ["" if (value := getattr(decision, name)) is None else one_line(str(value)) for name in COLUMNS]
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def parse_line(line: str) -> ReviewDecision | None:
    """The decision of a line; None where the line is damaged."""
    try:
        (cells,) = csv.reader([line], strict=True)
        if len(cells) != len(COLUMNS):
            return None
        time, sha256, kind, value, path, label_before, drawn_from, session = cells
        pool = int(drawn_from) if drawn_from else None
    except (ValueError, csv.Error):
        return None
    is_legal = time and _HASH.fullmatch(sha256) and kind in get_args(DecisionKind) and _SESSION.fullmatch(session)
    needs_hash = kind == "not-duplicate" and not _HASH.fullmatch(value)
    if not is_legal or needs_hash or (kind in ("label", "undo") and not value):
        return None
    return ReviewDecision(time, sha256, kind, value, path, label_before, pool, session)  # type: ignore[arg-type]
