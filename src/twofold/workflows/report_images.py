"""The images of a report: scored images in the order in which they are worth a look, and where their files are."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.core.errors import DataError, TwofoldError
from twofold.core.options import DataOptions
from twofold.core.privacy import relative_to
from twofold.data import ReadError, find_table, iterate_files, list_labelled_files
from twofold.decision.rule import UNFAMILIAR, Rule
from twofold.embedding import Source, read_content
from twofold.evaluation.results import BORDERLINE_DISTANCE
from twofold.evaluation.sample import Sample

MOST_OF_CELL: Final = {True: 120, False: 60}
"""The number of images that a cell of the confusion matrix opens, by whether they are errors."""
MOST_OF_KIND: Final = 24
"""The number of images of each kind in the gallery."""

CellKey = tuple[int, int]
"""A cell of the confusion matrix: (label, answer)."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredImages:
    """Labelled images with their scores; `name` is that of their column in the metrics table.

    `sample.probabilities` are those that `rule` decides on. `familiarity` and `p_label_error` (n,) are NaN where unknown.
    """

    name: str
    sample: Sample = field(repr=False)
    rule: Rule
    paths: tuple[str, ...] = field(repr=False)
    familiarity: Reals | None = field(repr=False, default=None)
    p_label_error: Reals | None = field(repr=False, default=None)

    def cell(self, label: int, answer: int) -> NDArray[np.intp]:
        """The rows in a cell of the confusion matrix, worst first: errors by their distance to the threshold, right answers by
        their closeness to it."""
        sample = self.sample
        rows = np.flatnonzero((sample.labels == label) & (sample.decisions == answer))
        distance = np.abs(sample.probabilities[rows] - self.rule.threshold)
        return rows[np.argsort(distance if label == answer else -distance, kind="stable")]

    @property
    def shown_cells(self) -> dict[CellKey, NDArray[np.intp]]:
        """The first rows of each cell."""
        return {
            (label, answer): self.cell(label, answer)[: MOST_OF_CELL[label != answer]]
            for label in (0, 1)
            for answer in (0, 1)
        }

    @property
    def errors(self) -> NDArray[np.intp]:
        """The rows of wrong answers, the most confident first."""
        rows = np.flatnonzero(self.sample.decisions != self.sample.labels)
        order = np.argsort(-np.abs(self.sample.probabilities[rows] - self.rule.threshold), kind="stable")
        return rows[order][:MOST_OF_KIND]

    @property
    def borderline(self) -> NDArray[np.intp]:
        """The rows within the distance of a borderline decision, the closest first."""
        distance = np.abs(self.sample.probabilities - self.rule.threshold)
        rows = np.flatnonzero(distance <= BORDERLINE_DISTANCE)
        return rows[np.argsort(distance[rows], kind="stable")][:MOST_OF_KIND]

    @property
    def unfamiliar(self) -> NDArray[np.intp]:
        """The rows that the gate of the rule leaves undecided, the least familiar first."""
        if self.familiarity is None:
            return np.empty(0, np.intp)
        decisions = self.rule.decide(self.sample.probabilities, self.familiarity)
        rows = np.flatnonzero(decisions == UNFAMILIAR)
        return rows[np.argsort(self.familiarity[rows], kind="stable")][:MOST_OF_KIND]

    @property
    def shown(self) -> list[int]:
        """All rows that a report shows, errors first, each once."""
        cells = self.shown_cells
        parts = (cells[0, 1], cells[1, 0], self.errors, self.unfamiliar, self.borderline, cells[0, 0], cells[1, 1])
        return list(dict.fromkeys(int(row) for part in parts for row in part))


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What recognises a file of a bundle: its path relative to DATA, its size and the hash of its bytes."""

    path: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class LocatedImages:
    """The sources of images by their paths in the bundle; `moved` were found elsewhere by their content, `missing` were not
    found."""

    sources: Mapping[str, Source] = field(repr=False)
    moved: int = 0
    missing: int = 0

    def sentence(self, kind: str) -> str:
        """What has moved since training; empty where every image is in its place. `kind` names the images."""
        if not self.moved + self.missing:
            return ""
        total = len(self.sources) + self.missing
        moved = f"{self.moved or 'none'} of them {'was' if self.moved < 2 else 'were'} found elsewhere by their content"
        missing = f"{self.missing} {'is' if self.missing == 1 else 'are'} missing"
        return f"{self.moved + self.missing} of {total} {kind} are no longer where they were at the training: {moved}, {missing}."


def locate(data: Path, identities: Iterable[FileIdentity], kind: str) -> LocatedImages:
    """The images of a bundle among the files of DATA, by their relative paths or by their content. `kind` names them in errors.

    Raises DataError where DATA does not exist, or where it holds none of them.
    """
    files, root = data_files(data)
    public_path = relative_to([root], map(str, files))
    by_path = {public_path(str(file)): file for file in files}
    sources: dict[str, Source] = {}
    absent = []
    for identity in identities:
        file = by_path.get(identity.path)
        if file is not None and _has_size(file, identity.bytes):
            sources[identity.path] = file
        else:
            absent.append(identity)
    found = _by_content(files, absent)
    if not sources and not found:
        raise DataError(
            f"{data} holds none of the {len(absent):,} {kind}: give the {kind} of the bundle, or leave them out."
        )
    return LocatedImages(sources | found, len(found), len(absent) - len(found))


def data_files(data: Path) -> tuple[list[Path], Path]:
    """The files of DATA, and the folder that their paths in a bundle are relative to."""
    if not data.exists():
        raise DataError(f"There is no {data}: check the path, or leave it out.")
    if data.suffix.lower() == ".csv" or (data.is_dir() and find_table(data) is not None):
        return list_labelled_files(data, DataOptions()).paths, data.parent if data.is_file() else data
    return list(iterate_files([data])), data


def _size(file: Path) -> int | None:
    """The size of a file in bytes; None where it is a member of an archive, or cannot be read."""
    try:
        return os.stat(file).st_size
    except OSError:
        return None


def _has_size(file: Path, size: int | None) -> bool:
    """Whether a file may be the one of this size; that of a member of an archive is not known."""
    known = _size(file)
    return known is None or size is None or known == size


def _by_content(files: Iterable[Path], absent: Iterable[FileIdentity]) -> dict[str, Source]:
    """The files with the content of absent ones, by the paths of these. Only files of the same size are read."""
    wanted: dict[str, list[str]] = {}
    sizes = set()
    for identity in absent:
        if identity.sha256 is not None and identity.bytes is not None:
            wanted.setdefault(identity.sha256, []).append(identity.path)
            sizes.add(identity.bytes)
    found: dict[str, Source] = {}
    for file in files if wanted else ():
        size = _size(file)
        if size is not None and size not in sizes:
            continue
        content = _content_of(file)
        for path in wanted.pop(content, ()) if content is not None else ():
            found[path] = file
    return found


def _content_of(file: Path) -> str | None:
    try:
        content = read_content(file)
    except (OSError, TwofoldError):
        return None
    return None if isinstance(content, ReadError) else content.sha256
