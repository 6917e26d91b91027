"""Feature rows stored between runs in one SQLite file: safe for several processes, bounded, and deletable at any time."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import numpy as np

from twofold.data import SMALL
from twofold.embedding.feature_table import FeatureRow, Metadata

T = TypeVar("T")

LIMIT: Final = 2_000_000_000  # bytes on disk: some 65,000 images with the default network, half as many with `both`
_MAX_UNRECORDED: Final = 1000  # rows that were read and whose time of use is not written yet

_TABLE = """
CREATE TABLE IF NOT EXISTS feature_rows (
    content TEXT, network TEXT, metadata TEXT NOT NULL, thumbnail BLOB NOT NULL, features BLOB NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (content, network)
) WITHOUT ROWID
"""
_SELECT = "SELECT metadata, thumbnail, features FROM feature_rows WHERE content = ? AND network = ?"
_INSERT = "INSERT OR REPLACE INTO feature_rows VALUES (?, ?, ?, ?, ?, ?)"
_RECORD_USE = "UPDATE feature_rows SET used = ? WHERE content = ? AND network = ?"


class Store:
    """Feature rows by the image's content hash and the network's identity. For one thread at a time.

    At most about `limit` bytes are stored. A write waits up to `patience` seconds for another process that writes.

    Raises sqlite3.Error or OSError where the file cannot be opened; the caller then works without a store. Where it fails later,
    `fault` has the reason, and from then on nothing is read or written.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT, patience: float = 30) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.fault: str | None = None
        self._limit = limit
        # A stream of predictions may be passed from thread to thread.
        self._database = sqlite3.connect(path, timeout=patience, check_same_thread=False)
        self._unrecorded: dict[tuple[str, str], float] = {}
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
        self._record_use()
        self._run_unless_broken(self._prune)
        self._database.close()

    def get(self, content: str, network: str) -> FeatureRow | None:
        """The row stored for this content, or None."""
        record = self._run_unless_broken(lambda: self._database.execute(_SELECT, (content, network)).fetchone())
        if record is None:
            return None
        try:
            metadata = Metadata(**json.loads(record[0]))
            thumbnail = np.frombuffer(record[1], np.uint8).reshape(SMALL, SMALL, 3)
            features = np.frombuffer(record[2], np.float32)
        except (TypeError, ValueError):  # a row of another version, or a damaged one: it will be replaced
            return None
        if not np.isfinite(features).all():
            return None
        self._unrecorded[content, network] = time.time()
        if len(self._unrecorded) >= _MAX_UNRECORDED:
            self._record_use()
        return FeatureRow(metadata, thumbnail, features, None)

    def put(self, rows: Iterable[FeatureRow], network: str) -> None:
        """Stores the rows that have features."""
        records = [
            (
                row.metadata.sha256,
                network,
                json.dumps(asdict(row.metadata)),
                row.thumbnail.data,
                row.features.data,
                time.time(),
            )
            for row in rows
            if row.metadata is not None and row.thumbnail is not None and row.features is not None
        ]
        self._run_unless_broken(lambda: self._write(_INSERT, records))

    def _record_use(self) -> None:
        records = [(time_of_use, *key) for key, time_of_use in self._unrecorded.items()]
        self._unrecorded.clear()
        self._run_unless_broken(lambda: self._write(_RECORD_USE, records))

    def _write(self, statement: str, records: list[tuple[Any, ...]]) -> None:
        with self._database:
            self._database.executemany(statement, records)

    def _run_unless_broken(self, action: Callable[[], T]) -> T | None:
        try:
            return action() if self.fault is None else None
        except sqlite3.Error as error:
            self.fault = str(error)
            return None

    def _prune(self) -> None:
        """Deletes the least recently used rows until a tenth of the limit is free."""
        size = self._pragma("page_count") * self._pragma("page_size")
        free = self._pragma("freelist_count") * self._pragma("page_size")
        if size - free <= self._limit:
            return
        count = self._database.execute("SELECT count(*) FROM feature_rows").fetchone()[0]
        excess = int(count * (1 - 0.9 * self._limit / (size - free))) + 1
        with self._database:
            oldest = "SELECT content, network FROM feature_rows ORDER BY used LIMIT ?"
            self._database.execute(f"DELETE FROM feature_rows WHERE (content, network) IN ({oldest})", (excess,))

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])
