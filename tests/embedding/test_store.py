"""Feature rows are stored between runs, by several processes, in bounded space."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from twofold.data import SMALL, ReadError
from twofold.embedding import FeatureRow, Metadata, Store


def feature_row(number: int, length: int = 500) -> FeatureRow:
    metadata = Metadata(f"{number:064x}", f"pixels {number}", 640, 480, "JPEG", 12345, 90, True, "A camera")
    random = np.random.default_rng(number)
    thumbnail = random.integers(0, 256, (SMALL, SMALL, 3), np.uint8)
    return FeatureRow(metadata, thumbnail, random.normal(size=length).astype(np.float32), None)


def same(a: FeatureRow | None, b: FeatureRow) -> bool:
    return (
        a is not None
        and a.metadata == b.metadata
        and all(map(np.array_equal, (a.features, a.thumbnail), (b.features, b.thumbnail)))
    )


def test_a_stored_row_comes_back_unchanged(tmp_path: Path) -> None:
    with Store(tmp_path / "a" / "folder" / "store") as store:
        store.put([feature_row(1), feature_row(2)], "backbone")
    with Store(tmp_path / "a" / "folder" / "store") as store:
        assert same(store.get(f"{1:064x}", "backbone"), feature_row(1))
        assert same(store.get(f"{2:064x}", "backbone"), feature_row(2))
        assert store.get(f"{3:064x}", "backbone") is None
        assert store.get(f"{1:064x}", "another backbone") is None


def test_read_errors_are_not_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.put([FeatureRow(None, None, None, ReadError("empty-file", "It is empty."))], "backbone")
    with sqlite3.connect(tmp_path / "store") as database:
        assert database.execute("SELECT count(*) FROM feature_rows").fetchone() == (0,)
    database.close()


def test_the_limit_deletes_the_rows_not_used_for_longest(tmp_path: Path) -> None:
    path, limit = tmp_path / "store", 1_500_000
    with Store(path, limit=limit) as store:
        store.put([feature_row(number) for number in range(100)], "old")
    with Store(path, limit=limit) as store:
        store.put([feature_row(number) for number in range(100)], "new")
        for number in range(0, 100, 2):
            assert store.get(f"{number:064x}", "old") is not None
    with Store(path, limit=limit) as store:
        old = [number for number in range(100) if store.get(f"{number:064x}", "old")]
        new = [number for number in range(100) if store.get(f"{number:064x}", "new")]
        assert 50 <= len(old) < 90
        assert set(range(0, 100, 2)) <= set(old)  # used again, so newer than the odd ones
        assert len(new) == 100


def test_reading_very_many_rows_holds_the_times_of_few(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.put([feature_row(number, 1) for number in range(2500)], "backbone")
        for number in range(2500):
            assert store.get(f"{number:064x}", "backbone") is not None
            assert len(store._unrecorded) <= 1000
        assert store.fault is None


def test_the_file_stops_growing(tmp_path: Path) -> None:
    path, sizes = tmp_path / "store", []
    for turn in range(6):
        with Store(path, limit=800_000) as store:
            store.put([feature_row(number) for number in range(100)], f"backbone {turn}")
        sizes.append(path.stat().st_size)
    assert max(sizes) < 1_600_000
    assert sizes[-1] == sizes[-2]


WRITER = """
import sys
from pathlib import Path
from embedding.test_store import feature_row
from twofold.embedding import Store
for turn in range(5):
    with Store(Path(sys.argv[1])) as store:
        for number in range(40):
            store.put([feature_row(number)], sys.argv[2])
            assert store.get(f"{number:064x}", sys.argv[2]) is not None
        assert store.fault is None, store.fault
"""


def test_several_processes_write_at_once_into_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    tests = str(Path(__file__).parents[1])
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, path, name], env={"PYTHONPATH": tests})
        for name in ("first", "second", "third")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with Store(path) as store:
        for name in ("first", "second", "third"):
            assert all(same(store.get(f"{number:064x}", name), feature_row(number)) for number in range(40))


@pytest.mark.parametrize("content", [b"this is no database" * 100, bytes(5000)])
def test_a_file_that_is_no_store_is_an_error_at_once(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Store(tmp_path / "store")


def test_a_damaged_store_gives_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store(path) as store:
        store.put([feature_row(number) for number in range(200)], "backbone")
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with Store(path) as store:
        assert all(store.get(f"{number:064x}", "backbone") is None for number in range(200))
        store.put([feature_row(1)], "backbone")
        assert store.fault is not None


def test_a_store_locked_by_another_process_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store(path) as store:
        store.put([feature_row(1)], "backbone")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(path, patience=0.1) as store:
        store.put([feature_row(2)], "backbone")
        assert store.fault == "database is locked"
    other.close()


def test_rows_of_another_version_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store(path) as store:
        store.put([feature_row(1), feature_row(2), feature_row(3)], "backbone")
    with sqlite3.connect(path) as database:
        database.execute("""UPDATE feature_rows SET metadata = '{"sha256": 1}' WHERE content LIKE '%1'""")
        database.execute("UPDATE feature_rows SET features = X'0102' WHERE content LIKE '%2'")
    database.close()
    with Store(path) as store:
        assert store.get(f"{1:064x}", "backbone") is None
        assert store.get(f"{2:064x}", "backbone") is None
        assert same(store.get(f"{3:064x}", "backbone"), feature_row(3))
        store.put([feature_row(1)], "backbone")
        assert same(store.get(f"{1:064x}", "backbone"), feature_row(1))
