"""The labelling of a pool: its different images, the session of answers, and the file that they are written to at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from twofold.audit import MIN_IMAGES
from twofold.audit.review_queue import random_order
from twofold.core.errors import DataError, UsageError
from twofold.core.files import printable
from twofold.core.notes import Note, count_text
from twofold.core.options import BackboneOptions
from twofold.data import IntensityRanges, walk
from twofold.data.image_lists import check_cells
from twofold.decision.feature_stripes import Matrix
from twofold.decision.few_labels import fit_axes
from twofold.embedding import FeatureTable, Runtime
from twofold.networks import choose_dtype, load_backbone, offered_dtypes, with_intensity_ranges
from twofold.workflows.label import LabelAnswer, LabelSession, Proposal, start_session
from twofold.workflows.label_file import LabelFile, LabelRow

MIN_POOL: Final = 2 * MIN_IMAGES
"""Different images that a pool has at least: `train` needs so many labels."""

SKIP: Final = 10
"""Answers until an image that was skipped is proposed again."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelPool:
    """The different images of a pool, sorted by path. Files with equal bytes are one image, with the path of the first.

    `coordinates` are (n, k); `row_of` has the row of every file.
    """

    folder: Path
    paths: tuple[Path, ...] = field(repr=False)
    hashes: tuple[str, ...] = field(repr=False)
    coordinates: Matrix = field(repr=False)
    row_of: dict[str, int] = field(repr=False)
    ranges: IntensityRanges
    notes: tuple[Note, ...]


def embed_pool(folder: Path, out: Path, runtime: Runtime, options: BackboneOptions | None = None) -> LabelPool:
    """The pool of the images in a folder or an archive; `out`, which may lie in it, is none of them.

    Raises DataError where there is no such folder, or where there are too few images.
    """
    if not folder.exists():
        raise DataError(f"There is no {folder}: give a folder of images without labels.")
    entries = list(walk(folder))
    files = sorted(entry for entry in entries if isinstance(entry, Path) and entry.absolute() != out.absolute())
    check_cells(str(path.absolute()) for path in files)
    ranges, range_notes = runtime.ranges(files)
    options = options or BackboneOptions()
    dtype = choose_dtype(options, offered_dtypes(options.backbone))
    backbone = load_backbone(options, dtype, cache=runtime.folder, progress=runtime.progress)
    table = runtime.embed(files, runtime.engine(with_intensity_ranges(backbone, ranges)), what="pool")
    hashes = [entry.sha256 for entry in table.metadata if entry is not None]
    first: dict[str, int] = {}
    for place, sha256 in enumerate(hashes):
        first.setdefault(sha256, place)
    unreadable = _unreadable_note(files, table)
    _check_size(folder, len(first), unreadable)
    row_of_hash = {sha256: row for row, sha256 in enumerate(first)}
    used = table.used.tolist()
    row_of = {str(files[used[place]].absolute()): row_of_hash[sha256] for place, sha256 in enumerate(hashes)}
    features = table.features[list(first.values())]
    return LabelPool(
        folder,
        tuple(files[used[place]] for place in first.values()),
        tuple(first),
        fit_axes(features).coordinates(features),
        row_of,
        ranges,
        (*table.notes, *range_notes, *unreadable, *_duplicate_note(len(hashes) - len(first))),
    )


def _unreadable_note(files: Sequence[Path], table: FeatureTable) -> tuple[Note, ...]:
    errors = [(path, error) for path, error in zip(files, table.read_errors, strict=True) if error is not None]
    if not errors:
        return ()
    path, error = errors[0]
    count = count_text(len(errors), "file")
    text = f"{count} left out that cannot be used as images, such as {printable(str(path))}: {error.sentence}"
    return (Note("unreadable", text),)


def _duplicate_note(count: int) -> tuple[Note, ...]:
    text = f"{count_text(count, 'file')} with the same bytes as another one left out: each image gets one label."
    return (Note("pool-duplicates", text),) if count else ()


def _check_size(folder: Path, count: int, unreadable: Sequence[Note]) -> None:
    if count < MIN_POOL:
        has = f"{count_text(count, 'different image')} that can be read" if count else "no image that can be read"
        because = f" ({unreadable[0].text.rstrip('.')})" if unreadable else ""
        raise DataError(f"{folder} has {has}{because}, and a pool takes at least {MIN_POOL}: give more images.")


@dataclass(frozen=True, slots=True)
class _Skipped:
    """An image that was skipped after so many answers."""

    row: int
    answers: int


class Labelling:
    """The answers about a pool, in memory and in `file`, which has each of them before `answer` returns.

    Any number of threads may use it: the session is a value, and what is computed from it needs no lock. Rows of `file` about
    images that are not in the pool are kept.
    """

    def __init__(self, pool: LabelPool, file: LabelFile, seed: int = 0) -> None:
        self.pool, self.file = pool, file
        self._lock, self._rows_elsewhere = Lock(), [row for row in file.rows if row.path not in pool.row_of]
        answers: dict[int, LabelAnswer] = {}
        skips: dict[int, _Skipped] = {}
        for row in file.rows:
            if (number := pool.row_of.get(row.path)) is None:
                continue
            answers.pop(number, None)
            skips.pop(number, None)
            if row.label:
                answers[number] = LabelAnswer(number, file.classes.index(row.label))
            else:
                skips[number] = _Skipped(number, len(answers))
        # By content, so that the random part is the same after a restart, and wherever the images lie.
        order = np.array(random_order(pool.hashes, seed), np.int64)
        self._session = replace(start_session(pool.coordinates, seed, order), answers=tuple(answers.values()))
        self._skips = tuple(skips.values())
        self.notes = (*pool.notes, *_missing_note(sum(bool(row.label) for row in self._rows_elsewhere), file))

    @property
    def session(self) -> LabelSession:
        """The session with all answers so far."""
        return self._session

    def answer(self, answers: Sequence[LabelAnswer]) -> None:
        """Writes the answers. Raises UsageError for an image or a label that there is not, TwofoldError where writing fails."""
        for entry in answers:
            self._check_row(entry.row)
            if entry.label not in (0, 1):
                raise UsageError(f"{entry.label} is no label: it is 0 or 1.")
        with self._lock:
            session = self._session
            for entry in answers:
                session = session.answered(entry.row, entry.label)
            self._write(session, self._skips_without({entry.row for entry in answers}))

    def skip(self, row: int) -> None:
        """Leaves an image without an answer for later.

        Raises UsageError for an image that there is not, TwofoldError where writing fails.
        """
        self._check_row(row)
        with self._lock:
            session = self._session
            if row not in session.rows:
                self._write(session, (*self._skips_without({row}), _Skipped(row, len(session.answers))))

    def undo(self) -> Proposal | None:
        """Takes back the last answer or skip, also of an earlier run; the image is to be asked about again.

        None where there is nothing to take back.
        """
        with self._lock:
            answers = self._session.answers
            if self._skips and self._skips[-1].answers >= len(answers):
                row = self._skips[-1].row
                self._write(self._session, self._skips[:-1])
                return Proposal(row, "undone")
            if not answers:
                return None
            self._write(self._session.undone(), self._skips)
            return Proposal(answers[-1].row, "undone")

    def proposals(self, count: int) -> list[Proposal]:
        """The images to ask about next, at most `count`. Skipped ones come after ten answers, or where none are left."""
        session, waiting = self._session, self._waiting()
        return session.proposals(count, aside=waiting) or session.proposals(count)

    def sure_rows(self, label: int, count: int) -> list[int]:
        """The images without an answer that the model is surest have this label, at most `count`, the surest first."""
        return self._session.sure_rows(label, count, aside=self._waiting())

    def progress(self) -> dict[str, Any]:
        """Counts for the page: answers, images, labels of each class, images that were skipped and have no answer yet."""
        session = self._session
        positives = int(session.labels.sum())
        return {
            "answers": len(session.answers),
            "images": len(self.pool.paths),
            "labels": [len(session.answers) - positives, positives],
            "skipped": len(self._skips),
        }

    def accuracy(self) -> dict[str, Any]:
        """The accuracy of the model with its interval, and what more labels would bring, for the page; `answers` it is from."""
        session = self._session
        interval, advice = session.accuracy, session.advice()
        random = len(session.random_rows)
        return {
            "answers": len(session.answers),
            "random": random,
            "value": interval.value if random else None,
            "low": interval.low,
            "high": interval.high,
            "advice": None if advice is None else advice.text,
        }

    def _waiting(self) -> set[int]:
        """The rows that were skipped, until their time has come."""
        answers = len(self._session.answers)
        return {skip.row for skip in self._skips if answers < skip.answers + SKIP}

    def _skips_without(self, rows: set[int]) -> tuple[_Skipped, ...]:
        return tuple(skip for skip in self._skips if skip.row not in rows)

    def _write(self, session: LabelSession, skips: tuple[_Skipped, ...]) -> None:
        """Writes all answers and skips in their order; they are the current ones from then on. Not if it fails."""
        random = set(session.random_rows.tolist())
        answered = [
            (number, answer.row, self.file.classes[answer.label]) for number, answer in enumerate(session.answers)
        ]
        skipped = [(skip.answers - 0.5, skip.row, "") for skip in skips]
        rows = [
            LabelRow(str(self.pool.paths[row].absolute()), label, row in random)
            for _, row, label in sorted([*answered, *skipped], key=itemgetter(0))
        ]
        self.file.write([*self._rows_elsewhere, *rows])
        self._session, self._skips = session, skips

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self.pool.paths):
            raise UsageError(f"There is no image {row}.")


def _missing_note(count: int, file: LabelFile) -> tuple[Note, ...]:
    name, labels = printable(str(file.path)), count_text(count, "label")
    text = f"{labels} in {name} of files that are not in the pool: kept there, and not used here."
    return (Note("labels-elsewhere", text),) if count else ()
