"""Decoded once, kept within bounds, and never in the way: whatever happens to the files, the right squares come out."""

import multiprocessing
import pickle
import resource
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, RuntimeOptions
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.embedding import Runtime
from twofold.embedding.embed import embed
from twofold.learning.decoded_images import DecodedImages, decoded, hold
from twofold.networks import load_backbone

SQUARE = Preprocessing(24, "squash")
BYTES = 24 * 24 * 3  # of one square
ALL = 1_000_000  # more than all of them


class Watched:
    """A machine that remembers in `folder`, and what was seen to be done on it."""

    def __init__(self, folder: Path, *, cache: bool = True) -> None:
        self.done: list[str] = []
        self.notes: tuple[Note, ...] = ()
        self.runtime = Runtime(folder, RuntimeOptions(cache=cache), self._watch)

    def _watch(self, stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        self.done.append(what)
        for count, item in enumerate(stream):
            assert count < length
            yield item


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Twelve pictures of sizes of their own, one file between them that is none, and one that is not there."""
    paths = [tmp_path / "files" / f"{number}.png" for number in range(12)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        draw("bars", number, 20 + number).save(path)
    (paths[0].parent / "none.png").write_bytes(b"no picture")
    return [*paths[:5], paths[0].parent / "none.png", *paths[5:], paths[0].parent / "missing.png"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def expected(files: list[Path]) -> NDArray[np.uint8]:
    """The squares of those that are pictures, each by a look of its own."""
    seen = [preprocess(path.read_bytes(), SQUARE) for path in files if path.exists()]
    return np.stack([one.model_input for one in seen if isinstance(one, PreprocessedImage)])


def run(files: list[Path], progress_bar: Watched, limit: int = ALL) -> NDArray[np.uint8]:
    with decoded(files, SQUARE, progress_bar.runtime, limit=limit) as pixels:
        progress_bar.notes = pixels.notes
        return pixels.take(np.arange(len(pixels.used)))


def held(folder: Path) -> int:
    """Bytes of squares in a machine's folder."""
    return sum(path.stat().st_size for path in (folder / "pixels").iterdir() if path.suffix != ".json")


def codes(progress_bar: Watched) -> list[str]:
    return [note.code for note in progress_bar.notes]


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("limit", [ALL, 5 * BYTES + 1, 0])
def test_squares_are_those_of_a_look_wherever_they_are_kept(
    files: list[Path], cache: bool, limit: int, tmp_path: Path
) -> None:
    rows, model_inputs = np.array([7, 0, 11, 0, 4]), expected(files)
    for _ in range(2):
        progress_bar = Watched(tmp_path / "cache", cache=cache)
        with decoded(files, SQUARE, progress_bar.runtime, limit=limit) as pixels:
            progress_bar.notes = pixels.notes
            assert np.array_equal(pixels.take(rows), model_inputs[rows])
            assert np.array_equal(pickle.loads(pickle.dumps(pixels)).take(rows), model_inputs[rows])
            assert pixels.take(rows[:0]).shape == (0, 24, 24, 3)
            assert pixels.take(rows).flags.writeable
        assert codes(progress_bar) == ([] if limit == ALL else ["pixels-beyond-limit"])


def test_facts_and_refusals_are_those_of_the_frozen_network(files: list[Path], tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    backbone = load_backbone(BackboneOptions(), "f32", cache=tmp_path)
    seen = list(embed(files, runtime.engine(backbone)))
    for _ in range(2):
        with decoded(files, backbone.preprocessing, runtime, limit=10 * ALL) as pixels:
            assert pixels.metadata == tuple(one.metadata for one in seen)
            assert pixels.read_errors == tuple(one.read_error for one in seen)
            assert pixels.used.tolist() == [*range(5), *range(6, 13)]
    assert [read_error.code for read_error in pixels.read_errors if read_error] == ["not-an-image", "missing"]


def test_the_second_run_decodes_nothing(files: list[Path], tmp_path: Path) -> None:
    first, second = Watched(tmp_path), Watched(tmp_path)
    assert np.array_equal(run(files, first), run(files, second))
    assert (first.done, second.done) == (["decoding"], ["reading"])


@pytest.mark.parametrize("change", ["bytes", "order", "size", "refusal"])
def test_what_was_kept_for_others_is_not_used(files: list[Path], change: str, tmp_path: Path) -> None:
    run(files, Watched(tmp_path))
    preprocessing = SQUARE
    if change == "bytes":
        draw("rings", 3, 23).save(files[3])
    elif change == "order":
        files = files[::-1]
    elif change == "size":
        preprocessing = Preprocessing(24, "center")
    else:
        draw("rings", 1).save(files[-1])
    progress_bar = Watched(tmp_path)
    with decoded(files, preprocessing, progress_bar.runtime, limit=ALL) as pixels:
        seen = pixels.take(np.arange(12))
    assert progress_bar.done == ["reading", "decoding"]
    assert np.array_equal(seen, expected(files)[:12]) == (change != "size")


@pytest.mark.parametrize("damage", ["zeros", "short", "long", "no facts", "torn facts", "facts of another version"])
def test_damaged_files_are_replaced(files: list[Path], damage: str, tmp_path: Path) -> None:
    model_inputs = run(files, Watched(tmp_path))
    (kept,), (metadata,) = ((tmp_path / "pixels").glob(f"*.{kind}") for kind in ("u8", "json"))
    if damage == "zeros":
        kept.write_bytes(kept.read_bytes()[:-BYTES] + bytes(BYTES))
    elif damage in ("short", "long"):
        kept.write_bytes(kept.read_bytes()[:-1] if damage == "short" else kept.read_bytes() * 2)
    elif damage == "no facts":
        metadata.unlink()
    else:
        metadata.write_text('[{"other": 1}]' if "version" in damage else metadata.read_text()[:-9], encoding="utf-8")
    for done in (["decoding"], ["reading"]):
        progress_bar = Watched(tmp_path)
        assert np.array_equal(run(files, progress_bar), model_inputs)
        assert progress_bar.done[-1:] == done


def test_the_folder_stays_within_its_limit_and_loses_the_oldest_first(files: list[Path], tmp_path: Path) -> None:
    limit = 15 * BYTES
    for picked in (files[:5], files[2:9], files[:5], files[6:11]):  # 5, 6, none new, 5 squares
        run(picked, Watched(tmp_path), limit)
        assert held(tmp_path) <= limit
    for picked, done in ((files[2:9], ["reading", "decoding"]), (files[6:11], ["reading"])):
        progress_bar = Watched(tmp_path)
        run(picked, progress_bar, limit)
        assert progress_bar.done == done


@pytest.mark.parametrize("happens", ["is gone", "is another"])
def test_a_picture_beyond_the_limit_that_changes_is_named(files: list[Path], happens: str, tmp_path: Path) -> None:
    with decoded(files, SQUARE, Watched(tmp_path).runtime, limit=4 * BYTES) as pixels:
        files[9].unlink()
        if happens == "is another":
            draw("rings", 0).save(files[9])
        pixels.take(np.arange(8))
        with pytest.raises(DataError, match=rf"{files[9]} changed while it was learned from, so start again: "):
            pixels.take(np.arange(12))


def test_kept_squares_do_not_need_their_files(files: list[Path], tmp_path: Path) -> None:
    model_inputs = expected(files)
    with decoded(files, SQUARE, Watched(tmp_path / "cache").runtime, limit=ALL) as pixels:
        shutil.rmtree(files[0].parent)
        assert np.array_equal(pixels.take(np.arange(12)), model_inputs)


def test_squares_that_somebody_deleted_are_said_to_be_gone(files: list[Path], tmp_path: Path) -> None:
    with decoded(files, SQUARE, Watched(tmp_path).runtime, limit=ALL) as pixels:
        shutil.rmtree(tmp_path / "pixels")
        with pytest.raises(DataError, match="are gone .*; start again"):
            pixels.take(np.arange(12))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_without_a_cache_nothing_is_left(
    files: list[Path], error: type[BaseException], tmp_path: Path, temporary: Path
) -> None:
    def stopped() -> None:
        with decoded(files, SQUARE, Watched(tmp_path / "cache", cache=False).runtime, limit=ALL):
            assert any(temporary.iterdir())
            raise error

    with pytest.raises(error):
        stopped()
    assert not any(temporary.iterdir())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("cache", [True, False])
def test_an_interruption_while_decoding_leaves_nothing(
    files: list[Path], cache: bool, tmp_path: Path, temporary: Path
) -> None:
    def interrupted(stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        for count, item in enumerate(stream):
            if count == 9:
                raise KeyboardInterrupt
            yield item

    runtime = Runtime(tmp_path / "cache", RuntimeOptions(cache=cache), interrupted)
    with pytest.raises(KeyboardInterrupt), decoded(files, SQUARE, runtime, limit=ALL):
        pass
    assert not any(temporary.iterdir())
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Within the block no file grows beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_costs_time_alone(files: list[Path], tmp_path: Path, temporary: Path) -> None:
    progress_bar = Watched(tmp_path)
    with largest_file(6 * BYTES):
        assert np.array_equal(run(files, progress_bar), expected(files))
    assert codes(progress_bar) == ["cache-unusable", "cache-unusable"]
    assert "make room there, or pass --no-cache" in progress_bar.notes[0].text
    assert held(tmp_path) == 0
    assert not any(temporary.iterdir())


def test_a_folder_that_cannot_be_made_is_done_without(files: list[Path], tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "taken").touch()
    progress_bar = Watched(tmp_path / "taken")
    with decoded(files, SQUARE, progress_bar.runtime, limit=ALL) as pixels:
        assert any(temporary.iterdir())
        assert np.array_equal(pixels.take(np.arange(12)), expected(files))
    assert [note.code for note in pixels.notes] == ["cache-unusable"]
    assert not any(temporary.iterdir())


def test_of_two_that_start_together_one_decodes(files: list[Path], tmp_path: Path) -> None:
    both = [Watched(tmp_path), Watched(tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda progress_bar: run(files, progress_bar), both)
    assert np.array_equal(one, other)
    assert sorted(progress_bar.done for progress_bar in both) == [["decoding"], ["reading"]]


def test_what_a_killed_process_left_is_cleared_away(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "pixels").mkdir()
    (tmp_path / "pixels" / "pixels.part").write_bytes(bytes(100 * BYTES))
    run(files, Watched(tmp_path))
    assert held(tmp_path) == 12 * BYTES


def test_another_process_reads_the_same_file(files: list[Path], tmp_path: Path) -> None:
    with decoded(files, SQUARE, Watched(tmp_path).runtime, limit=ALL) as pixels:
        assert len(pickle.dumps(pixels.kept)) < BYTES
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(DecodedImages.take, (pixels, np.arange(12))).tobytes() == expected(files).tobytes()


def test_nothing_to_decode_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        with decoded([], SQUARE, Watched(tmp_path).runtime, limit=ALL) as pixels:
            assert pixels.take(np.arange(0)).shape == (0, 24, 24, 3)


def test_an_array_in_memory_is_held_as_it_is() -> None:
    model_inputs = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    pixels = hold(model_inputs)
    assert np.array_equal(pixels.take(np.array([4, 1])), model_inputs[[4, 1]])
    assert [metadata.width for metadata in pixels.metadata if metadata] == [8] * 6
    assert len({metadata.pixels for metadata in pixels.metadata if metadata}) == 6
