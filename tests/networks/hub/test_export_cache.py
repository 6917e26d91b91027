"""Graphs are kept by what they were made from."""

import os
from pathlib import Path

from twofold.networks.hub.export_cache import CROP_PCT, exported


def test_a_graph_is_made_once(tmp_path: Path) -> None:
    assert exported("key", lambda: b"graph", tmp_path / "new" / "folder") == b"graph"
    assert exported("key", lambda: b"never made", tmp_path / "new" / "folder") == b"graph"
    assert exported("other", lambda: b"other", tmp_path / "new" / "folder") == b"other"


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert exported("key", lambda: b"graph", tmp_path / "file") == b"graph"
    assert exported("key", lambda: b"again", tmp_path / "file") == b"again"


def test_those_that_were_not_used_for_longest_go(tmp_path: Path) -> None:
    for number in range(CROP_PCT):
        exported(str(number), lambda: b"graph", tmp_path)
        os.utime(tmp_path / f"{number}.onnx", (number, number))
    exported("0", lambda: b"never made", tmp_path)
    exported("new", lambda: b"graph", tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"0", "new", *map(str, range(2, CROP_PCT))}
