"""A run on this machine: what it remembers, and what it notes when it cannot."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw

from twofold.embedding import Backbone, Machine
from twofold.options import EngineOptions


def sources(folder: Path, count: int = 12) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        draw("bars", number, side=20 + number).save(path)
    return paths


def test_a_table_has_a_row_for_every_source(tiny: Backbone, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache")
    paths = sources(tmp_path)
    paths[3].unlink()
    paths[7].write_bytes(b"")
    table = machine.observe(paths, machine.engine(tiny))
    assert [facts is None for facts in table.facts] == [number in (3, 7) for number in range(12)]
    assert [refusal.code for refusal in table.refusals if refusal] == ["missing", "empty-file"]
    assert table.used.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert table.vectors.shape == (10, 6)
    assert table.vectors.dtype == np.float32
    assert machine.notes == []


def test_no_source_gives_an_empty_table(tiny: Backbone, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    table = machine.observe([], machine.engine(tiny))
    assert table.facts == table.refusals == ()
    assert len(table.vectors) == len(table.used) == 0


def test_the_folder_remembers_vectors_and_compiled_networks(tiny: Backbone, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache")
    paths = sources(tmp_path)
    first = machine.observe(paths, machine.engine(tiny))
    assert {path.suffix for path in (tmp_path / "cache").rglob("*.*")} == {".sqlite", ".blob", ".txt"}
    engine = machine.engine(tiny)
    again = machine.observe(paths, engine)
    assert np.array_equal(first.vectors, again.vectors)
    assert first.facts == again.facts
    assert not engine.started


def test_without_the_cache_nothing_is_written(tiny: Backbone, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache", EngineOptions(cache=False))
    machine.observe(sources(tmp_path), machine.engine(tiny))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["no database", "damaged pages", "a folder in its place", "no folder"])
def test_a_cache_that_cannot_be_used_is_noted_and_gone_without(damage: str, tiny: Backbone, tmp_path: Path) -> None:
    folder, paths = tmp_path / "cache", sources(tmp_path, 60)
    expected = Machine(folder).observe(paths, Machine(folder).engine(tiny)).vectors
    store = folder / "vectors.sqlite"
    whole = store.read_bytes()
    store.unlink()
    match damage:
        case "no database":
            store.write_bytes(b"nonsense " * 1000)
        case "damaged pages":
            store.write_bytes(whole[:8192] + bytes(255 for _ in whole[8192:]))
        case "a folder in its place":
            store.mkdir()
        case "no folder":
            folder = store / "below" / "a" / "file"
            store.touch()
    machine = Machine(folder)
    table = machine.observe(paths, machine.engine(tiny))
    assert np.array_equal(table.vectors, expected)
    assert [note.code for note in machine.notes] == ["cache-unusable"]
    assert "--no-cache" in machine.notes[0].text


def test_progress_is_seen_by_who_watches(tiny: Backbone, tmp_path: Path) -> None:
    seen: list[Any] = []

    def watch(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
        seen.append((length, what))
        for item in stream:
            seen.append(item.facts.width)
            yield item

    machine = Machine(tmp_path / "cache", watch=watch)
    machine.observe(sources(tmp_path), machine.engine(tiny), what="train")
    assert seen == [(12, "train"), *range(20, 32)]


def test_the_limit_on_pixels_reaches_the_pictures(tiny: Backbone, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache", EngineOptions(max_megapixels=0.0005))  # 500 pixels
    table = machine.observe(sources(tmp_path), machine.engine(tiny))
    assert table.used.tolist() == [0, 1, 2]  # 20, 21 and 22 pixels wide
    assert {refusal.code for refusal in table.refusals if refusal} == {"too-large"}
