"""Vectors kept between runs, in one SQLite file: safe for several processes, bounded, and free to be deleted at any time."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from twofold.data import SMALL
from twofold.embedding.feature_table import FeatureRow, Metadata

T = TypeVar("T")

LIMIT = 2_000_000_000  # bytes on disk: some 150,000 pictures with the default network

_TABLE = """
CREATE TABLE IF NOT EXISTS seen (
    content TEXT, backbone TEXT, facts TEXT NOT NULL, thumbnail BLOB NOT NULL, vector BLOB NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (content, backbone)
) WITHOUT ROWID
"""
_FIND = "SELECT facts, thumbnail, vector FROM seen WHERE content = ? AND backbone = ?"
_KEEP = "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)"
_TOUCH = "UPDATE seen SET used = ? WHERE content = ? AND backbone = ?"


class Store:
    """What was observed before, by the picture's content hash and the backbone's identity. Use it in one thread.

    At most about `limit` bytes are kept; another process that writes is waited for with `patience`, in seconds.

    Raises sqlite3.Error or OSError where the file cannot be opened; the caller then goes on without. When it fails later,
    `fault` says how, and it gives and keeps nothing more.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT, patience: float = 30) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.fault: str | None = None
        self._limit = limit
        self._database = sqlite3.connect(path, timeout=patience)
        self._touched: list[tuple[float, str, str]] = []
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")  # a crash may lose the last rows, never the file
            self._database.execute(_TABLE)
        except sqlite3.Error:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unless_broken(self._leave)
        self._database.close()

    def get(self, content: str, backbone: str) -> FeatureRow | None:
        """The observation kept for this content, or None."""
        row = self._unless_broken(lambda: self._database.execute(_FIND, (content, backbone)).fetchone())
        if row is None:
            return None
        try:
            thumbnail = np.frombuffer(row[1], np.uint8).reshape(SMALL, SMALL, 3)
            features = np.frombuffer(row[2], np.float32)
            known = FeatureRow(Metadata(**json.loads(row[0])), thumbnail, features, None)
        except (TypeError, ValueError):  # another version's row, or a damaged one: it will be replaced
            return None
        if not np.isfinite(features).all():
            return None
        self._touched.append((time.time(), content, backbone))
        return known

    def put(self, observations: Iterable[FeatureRow], backbone: str) -> None:
        """Keeps those that have a vector."""
        rows = [
            (
                seen.metadata.sha256,
                backbone,
                json.dumps(asdict(seen.metadata)),
                seen.thumbnail.data,
                seen.features.data,
                time.time(),
            )
            for seen in observations
            if seen.metadata is not None and seen.thumbnail is not None and seen.features is not None
        ]
        self._unless_broken(lambda: self._write(_KEEP, rows))

    def _leave(self) -> None:
        self._write(_TOUCH, self._touched)
        self._prune()

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        with self._database:
            self._database.executemany(statement, rows)

    def _unless_broken(self, action: Callable[[], T]) -> T | None:
        try:
            return action() if self.fault is None else None
        except sqlite3.Error as error:
            self.fault = str(error)
            return None

    def _prune(self) -> None:
        """Drops what was not used for longest until a tenth is free again."""
        size = self._pragma("page_count") * self._pragma("page_size")
        free = self._pragma("freelist_count") * self._pragma("page_size")
        if size - free <= self._limit:
            return
        count = self._database.execute("SELECT count(*) FROM seen").fetchone()[0]
        drop = int(count * (1 - 0.9 * self._limit / (size - free))) + 1
        with self._database:
            oldest = "SELECT content, backbone FROM seen ORDER BY used LIMIT ?"
            self._database.execute(f"DELETE FROM seen WHERE (content, backbone) IN ({oldest})", (drop,))

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])
