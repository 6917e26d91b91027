"""A runtime caches what was computed, and its tables note where it cannot."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw

from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.embedding import Runtime
from twofold.networks import Backbone


def sources(folder: Path, count: int = 12) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        draw("bars", number, side=20 + number).save(path)
    return paths


def test_a_table_has_a_row_for_every_source(tiny: Backbone, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    paths = sources(tmp_path)
    paths[3].unlink()
    paths[7].write_bytes(b"")
    table = runtime.embed(paths, runtime.engine(tiny))
    assert [metadata is None for metadata in table.metadata] == [number in (3, 7) for number in range(12)]
    assert [read_error.code for read_error in table.read_errors if read_error] == ["missing", "empty-file"]
    assert table.used.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert table.features.shape == (10, 6)
    assert table.features.dtype == np.float32
    assert table.notes == ()


def test_no_sources_give_an_empty_table(tiny: Backbone, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    table = runtime.embed([], runtime.engine(tiny))
    assert table.metadata == table.read_errors == ()
    assert len(table.features) == len(table.used) == 0


def test_the_folder_caches_features_and_compiled_networks(tiny: Backbone, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    paths = sources(tmp_path)
    first = runtime.embed(paths, runtime.engine(tiny))
    assert {path.suffix for path in (tmp_path / "cache").rglob("*.*")} == {".sqlite", ".blob", ".txt"}
    engine = runtime.engine(tiny)
    again = runtime.embed(paths, engine)
    assert np.array_equal(first.features, again.features)
    assert first.metadata == again.metadata
    assert not engine.started


def test_without_the_cache_nothing_is_written(tiny: Backbone, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache", RuntimeOptions(cache=False))
    runtime.embed(sources(tmp_path), runtime.engine(tiny))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["no database", "damaged pages", "a folder in its place", "no folder"])
def test_a_cache_that_cannot_be_used_is_noted_and_not_needed(damage: str, tiny: Backbone, tmp_path: Path) -> None:
    folder, paths = tmp_path / "cache", sources(tmp_path, 60)
    expected = Runtime(folder).embed(paths, Runtime(folder).engine(tiny)).features
    store = folder / "features.sqlite"
    content = store.read_bytes()
    store.unlink()
    match damage:
        case "no database":
            store.write_bytes(b"nonsense " * 1000)
        case "damaged pages":
            store.write_bytes(content[:8192] + bytes(255 for _ in content[8192:]))
        case "a folder in its place":
            store.mkdir()
        case "no folder":
            folder = store / "below" / "a" / "file"
            store.touch()
    runtime = Runtime(folder)
    table = runtime.embed(paths, runtime.engine(tiny))
    assert np.array_equal(table.features, expected)
    assert [note.code for note in table.notes] == ["cache-unusable"]
    assert "`cache=False`" in table.notes[0].text
    assert runtime.notes == ()  # of the table alone


def test_every_table_has_the_notes_of_its_runtime(tiny: Backbone, tmp_path: Path) -> None:
    note = Note("cache-unusable", "There is no home folder for a cache.")
    runtime = Runtime(tmp_path, RuntimeOptions(cache=False), notes=(note,))
    assert runtime.embed([], runtime.engine(tiny)).notes == (note,)
    assert runtime.scan([]).notes == (note,)


def test_progress_is_given_every_row(tiny: Backbone, tmp_path: Path) -> None:
    events: list[Any] = []

    def progress(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
        events.append((length, what))
        for item in stream:
            events.append(item.metadata.width)
            yield item

    runtime = Runtime(tmp_path / "cache", progress=progress)
    runtime.embed(sources(tmp_path), runtime.engine(tiny), what="train")
    assert events == [(12, "train"), *range(20, 32)]


def test_images_above_the_limit_on_pixels_are_read_errors(tiny: Backbone, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache", RuntimeOptions(max_megapixels=0.0005))  # 500 pixels
    table = runtime.embed(sources(tmp_path), runtime.engine(tiny))
    assert table.used.tolist() == [0, 1, 2]  # 20, 21 and 22 pixels wide
    assert {read_error.code for read_error in table.read_errors if read_error} == {"too-large"}
