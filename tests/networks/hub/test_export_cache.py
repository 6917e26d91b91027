"""Exported graphs are cached by key."""

import os
from pathlib import Path

from twofold.networks.hub.export_cache import MAX_GRAPHS, load_or_export


def test_a_graph_is_exported_once(tmp_path: Path) -> None:
    assert load_or_export("key", lambda: b"graph", tmp_path / "new" / "folder") == b"graph"
    assert load_or_export("key", lambda: b"never exported", tmp_path / "new" / "folder") == b"graph"
    assert load_or_export("other", lambda: b"other", tmp_path / "new" / "folder") == b"other"


def test_without_a_writable_folder_every_call_exports(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert load_or_export("key", lambda: b"graph", tmp_path / "file") == b"graph"
    assert load_or_export("key", lambda: b"again", tmp_path / "file") == b"again"


def test_the_least_recently_used_graph_is_removed(tmp_path: Path) -> None:
    for number in range(MAX_GRAPHS):
        load_or_export(str(number), lambda: b"graph", tmp_path)
        os.utime(tmp_path / f"{number}.onnx", (number, number))
    load_or_export("0", lambda: b"never exported", tmp_path)
    load_or_export("new", lambda: b"graph", tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"0", "new", *map(str, range(2, MAX_GRAPHS))}
