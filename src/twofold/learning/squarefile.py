"""Decoded pictures in a file: raw squares one after the other, beside it the facts, as JSON. Free to be deleted at any time."""

import errno
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.data import Refusal
from twofold.embedding import Facts, picture_hash
from twofold.errors import DataError

Fate = Facts | Refusal


class SquareFile:
    """`count` squares in a file, (count, size, size, 3), mapped into memory by each process that takes some."""

    def __init__(self, path: Path, count: int, size: int) -> None:
        self._path, self._shape = path, (count, size, size, 3)
        self._mapped: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        if self._mapped is None:
            self._mapped = self._map()
        return self._mapped[rows]

    def __getstate__(self) -> tuple[Path, int, int]:
        return self._path, self._shape[0], self._shape[1]

    def __setstate__(self, state: tuple[Path, int, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]  # what pickle hands over is what it was made from

    def _map(self) -> NDArray[np.uint8]:
        if len(self) == 0:  # nothing cannot be mapped
            return np.empty(self._shape, np.uint8)
        try:
            return np.asarray(np.memmap(self._path, np.uint8, "r", shape=self._shape))
        except (OSError, ValueError) as error:
            raise DataError(f"The decoded pictures in {self._path} are gone ({error}); start again.") from error


def read_fates(path: Path, sources: int, size: int) -> tuple[list[Fate], SquareFile] | None:
    """What was kept at `path`, or None where there is nothing, or something else than was written.

    Every square is compared with its hash: a machine that lost its power leaves files of the right length with zeros in them.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        fates: list[Fate] = [Refusal(**row) if "code" in row else Facts(**row) for row in rows]
        count = path.stat().st_size // (size * size * 3)
        squares = SquareFile(path, count, size)
        used = [facts for facts in fates if isinstance(facts, Facts)][:count]
        whole = len(fates) == sources and all(
            facts.pixels == picture_hash(facts.width, facts.height, squares[np.array(row)])
            for row, facts in enumerate(used)
        )
    except (OSError, ValueError, TypeError, DataError):
        return None
    if not whole or len(used) < count:
        return None
    with suppress(OSError):
        os.utime(path)  # it is the newest now, so that it goes last
    return fates, squares


def write_fates(path: Path, fates: list[Fate]) -> None:
    """The facts and refusals, beside the squares at `path`; to be called last, as squares without them count for nothing."""
    part = path.with_suffix(f".json.{os.getpid()}")
    part.write_text(json.dumps([asdict(fate) for fate in fates]), encoding="utf-8")
    part.replace(path.with_suffix(".json"))


def make_room(folder: Path, needed: int, limit: int) -> None:
    """Removes what was not used for longest until `needed` bytes more stay within `limit`; OSError where the disk is too full."""
    kept = sorted((status.st_mtime, status.st_size, path) for path in folder.iterdir() if (status := _status(path)))
    total = needed + sum(size for _, size, _ in kept)
    for _, size, path in kept:
        if total <= limit:
            break
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        total -= size
    check_space(folder, needed)


def check_space(folder: Path, needed: int) -> None:
    """OSError where the disk has less room: better now than when it is full, with others' files cut short."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _status(path: Path) -> os.stat_result | None:
    """Of squares, whole or being written; another process may just have removed them."""
    with suppress(OSError):
        return path.stat() if ".u8" in path.suffixes else None
    return None
