"""Images are decoded once and stored within a limit; whatever happens to the files, the model inputs are right."""

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
from twofold.core.options import BackboneOptions, RuntimeOptions
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.embedding import Runtime
from twofold.embedding.embed import embed
from twofold.learning.decoded_images import DecodedImages
from twofold.learning.decoder import decode_images, hold_in_memory
from twofold.networks import load_backbone

PREPROCESSING = Preprocessing(24, "squash")
BYTES = 24 * 24 * 3  # of one model input
UNLIMITED = 1_000_000  # bytes, more than all of them


class RecordedRuntime:
    """A runtime with its cache in `folder`, which records the names of its progress bars."""

    def __init__(self, folder: Path, *, cache: bool = True) -> None:
        self.steps: list[str] = []
        self.runtime = Runtime(folder, RuntimeOptions(cache=cache), self._record)

    def _record(self, stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        self.steps.append(what)
        for count, item in enumerate(stream):
            assert count < length
            yield item


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Twelve images of different sizes, one file among them that is no image, and one that is missing."""
    paths = [tmp_path / "files" / f"{number}.png" for number in range(12)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        draw("bars", number, 20 + number).save(path)
    (paths[0].parent / "none.png").write_bytes(b"no image")
    return [*paths[:5], paths[0].parent / "none.png", *paths[5:], paths[0].parent / "missing.png"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def expected(files: list[Path]) -> NDArray[np.uint8]:
    """The model inputs of the images, preprocessed one by one."""
    results = [preprocess(path.read_bytes(), PREPROCESSING) for path in files if path.exists()]
    return np.stack([result.model_input for result in results if isinstance(result, PreprocessedImage)])


def run(files: list[Path], recorded: RecordedRuntime, limit: int = UNLIMITED) -> NDArray[np.uint8]:
    with decode_images(files, PREPROCESSING, recorded.runtime, limit=limit) as images:
        return images.take(np.arange(len(images.used)))


def stored_bytes(folder: Path) -> int:
    """Bytes of model inputs in a cache folder."""
    return sum(path.stat().st_size for path in (folder / "pixels").iterdir() if path.suffix != ".json")


def codes(images: DecodedImages) -> list[str]:
    return [note.code for note in images.notes]


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("limit", [UNLIMITED, 5 * BYTES + 1, 0])
def test_model_inputs_are_the_same_wherever_they_are_stored(
    files: list[Path], cache: bool, limit: int, tmp_path: Path
) -> None:
    rows, model_inputs = np.array([7, 0, 11, 0, 4]), expected(files)
    for _ in range(2):
        recorded = RecordedRuntime(tmp_path / "cache", cache=cache)
        with decode_images(files, PREPROCESSING, recorded.runtime, limit=limit) as images:
            assert np.array_equal(images.take(rows), model_inputs[rows])
            assert np.array_equal(pickle.loads(pickle.dumps(images)).take(rows), model_inputs[rows])
            assert images.take(rows[:0]).shape == (0, 24, 24, 3)
            assert images.take(rows).flags.writeable
        assert codes(images) == ([] if limit == UNLIMITED else ["pixels-beyond-limit"])
        assert recorded.runtime.notes == ()


def test_metadata_and_read_errors_equal_those_of_embedding(files: list[Path], tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    backbone = load_backbone(BackboneOptions(), "f32", cache=tmp_path)
    rows = list(embed(files, runtime.engine(backbone)))
    for _ in range(2):
        with decode_images(files, backbone.preprocessing, runtime, limit=10 * UNLIMITED) as images:
            assert images.metadata == tuple(row.metadata for row in rows)
            assert images.read_errors == tuple(row.read_error for row in rows)
            assert images.used.tolist() == [*range(5), *range(6, 13)]
    assert [read_error.code for read_error in images.read_errors if read_error] == ["not-an-image", "missing"]


def test_the_second_run_decodes_nothing(files: list[Path], tmp_path: Path) -> None:
    first, second = RecordedRuntime(tmp_path), RecordedRuntime(tmp_path)
    assert np.array_equal(run(files, first), run(files, second))
    assert (first.steps, second.steps) == (["decoding"], ["reading"])


@pytest.mark.parametrize("change", ["bytes", "order", "crop mode", "read error"])
def test_a_stored_file_is_not_used_for_other_images(files: list[Path], change: str, tmp_path: Path) -> None:
    run(files, RecordedRuntime(tmp_path))
    preprocessing = PREPROCESSING
    if change == "bytes":
        draw("rings", 3, 23).save(files[3])
    elif change == "order":
        files = files[::-1]
    elif change == "crop mode":
        preprocessing = Preprocessing(24, "center")
    else:
        draw("rings", 1).save(files[-1])
    recorded = RecordedRuntime(tmp_path)
    with decode_images(files, preprocessing, recorded.runtime, limit=UNLIMITED) as images:
        model_inputs = images.take(np.arange(12))
    assert recorded.steps == ["reading", "decoding"]
    assert np.array_equal(model_inputs, expected(files)[:12]) == (change != "crop mode")


@pytest.mark.parametrize(
    "damage", ["zeros", "short", "long", "no metadata", "torn metadata", "metadata of another version"]
)
def test_damaged_files_are_replaced(files: list[Path], damage: str, tmp_path: Path) -> None:
    model_inputs = run(files, RecordedRuntime(tmp_path))
    (pixels,), (metadata,) = ((tmp_path / "pixels").glob(f"*.{kind}") for kind in ("u8", "json"))
    if damage == "zeros":
        pixels.write_bytes(pixels.read_bytes()[:-BYTES] + bytes(BYTES))
    elif damage in ("short", "long"):
        pixels.write_bytes(pixels.read_bytes()[:-1] if damage == "short" else pixels.read_bytes() * 2)
    elif damage == "no metadata":
        metadata.unlink()
    else:
        metadata.write_text('[{"other": 1}]' if "version" in damage else metadata.read_text()[:-9], encoding="utf-8")
    for steps in (["decoding"], ["reading"]):
        recorded = RecordedRuntime(tmp_path)
        assert np.array_equal(run(files, recorded), model_inputs)
        assert recorded.steps[-1:] == steps


def test_the_cache_stays_within_its_limit_and_drops_the_least_recently_used(files: list[Path], tmp_path: Path) -> None:
    limit = 15 * BYTES
    for subset in (files[:5], files[2:9], files[:5], files[6:11]):  # 5, 6, no new, 5 images
        run(subset, RecordedRuntime(tmp_path), limit)
        assert stored_bytes(tmp_path) <= limit
    for subset, steps in ((files[2:9], ["reading", "decoding"]), (files[6:11], ["reading"])):
        recorded = RecordedRuntime(tmp_path)
        run(subset, recorded, limit)
        assert recorded.steps == steps


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_an_unstored_image_that_changes_is_named(files: list[Path], change: str, tmp_path: Path) -> None:
    with decode_images(files, PREPROCESSING, RecordedRuntime(tmp_path).runtime, limit=4 * BYTES) as images:
        files[9].unlink()
        if change == "replaced":
            draw("rings", 0).save(files[9])
        images.take(np.arange(8))
        with pytest.raises(DataError, match=rf"{files[9]} changed during training, so start again: "):
            images.take(np.arange(12))


def test_stored_images_do_not_need_their_files(files: list[Path], tmp_path: Path) -> None:
    model_inputs = expected(files)
    with decode_images(files, PREPROCESSING, RecordedRuntime(tmp_path / "cache").runtime, limit=UNLIMITED) as images:
        shutil.rmtree(files[0].parent)
        assert np.array_equal(images.take(np.arange(12)), model_inputs)


def test_a_deleted_pixel_file_is_an_error(files: list[Path], tmp_path: Path) -> None:
    with decode_images(files, PREPROCESSING, RecordedRuntime(tmp_path).runtime, limit=UNLIMITED) as images:
        shutil.rmtree(tmp_path / "pixels")
        with pytest.raises(DataError, match="are missing or damaged: start again"):
            images.take(np.arange(12))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_without_a_cache_nothing_is_left(
    files: list[Path], error: type[BaseException], tmp_path: Path, temporary: Path
) -> None:
    def raise_in_block() -> None:
        with decode_images(
            files, PREPROCESSING, RecordedRuntime(tmp_path / "cache", cache=False).runtime, limit=UNLIMITED
        ):
            assert any(temporary.iterdir())
            raise error

    with pytest.raises(error):
        raise_in_block()
    assert not any(temporary.iterdir())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("cache", [True, False])
def test_an_interruption_while_decoding_leaves_nothing(
    files: list[Path], cache: bool, tmp_path: Path, temporary: Path
) -> None:
    def interrupt(stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        for count, item in enumerate(stream):
            if count == 9:
                raise KeyboardInterrupt
            yield item

    runtime = Runtime(tmp_path / "cache", RuntimeOptions(cache=cache), interrupt)
    with pytest.raises(KeyboardInterrupt), decode_images(files, PREPROCESSING, runtime, limit=UNLIMITED):
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


def test_a_full_disk_costs_time_only(files: list[Path], tmp_path: Path, temporary: Path) -> None:
    runtime, rows = Runtime(tmp_path), np.arange(12)
    with largest_file(6 * BYTES), decode_images(files, PREPROCESSING, runtime, limit=UNLIMITED) as images:
        assert np.array_equal(images.take(rows), expected(files))
    assert codes(images) == ["cache-unusable", "cache-unusable"]
    assert "make room there, or use `cache=False`" in images.notes[0].text
    assert stored_bytes(tmp_path) == 0
    assert not any(temporary.iterdir())


def test_without_a_cache_folder_a_temporary_file_is_used(files: list[Path], tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "taken").touch()
    runtime = Runtime(tmp_path / "taken")
    with decode_images(files, PREPROCESSING, runtime, limit=UNLIMITED) as images:
        assert any(temporary.iterdir())
        assert np.array_equal(images.take(np.arange(12)), expected(files))
    assert codes(images) == ["cache-unusable"]
    assert not any(temporary.iterdir())


def test_of_two_runs_that_start_together_only_one_decodes(files: list[Path], tmp_path: Path) -> None:
    runtimes = [RecordedRuntime(tmp_path), RecordedRuntime(tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda recorded: run(files, recorded), runtimes)
    assert np.array_equal(first, second)
    assert sorted(recorded.steps for recorded in runtimes) == [["decoding"], ["reading"]]


def test_partial_files_of_a_killed_process_are_deleted(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "pixels").mkdir()
    (tmp_path / "pixels" / "pixels.part").write_bytes(bytes(100 * BYTES))
    run(files, RecordedRuntime(tmp_path))
    assert stored_bytes(tmp_path) == 12 * BYTES


def test_another_process_reads_the_same_file(files: list[Path], tmp_path: Path) -> None:
    with decode_images(files, PREPROCESSING, RecordedRuntime(tmp_path).runtime, limit=UNLIMITED) as images:
        assert len(pickle.dumps(images.stored)) < BYTES
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(DecodedImages.take, (images, np.arange(12))).tobytes() == expected(files).tobytes()


def test_an_empty_list_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        with decode_images([], PREPROCESSING, RecordedRuntime(tmp_path).runtime, limit=UNLIMITED) as images:
            assert images.take(np.arange(0)).shape == (0, 24, 24, 3)


def test_an_array_in_memory_is_not_copied_to_a_file() -> None:
    model_inputs = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    images = hold_in_memory(model_inputs)
    assert np.array_equal(images.take(np.array([4, 1])), model_inputs[[4, 1]])
    assert [metadata.width for metadata in images.metadata if metadata] == [8] * 6
    assert len({metadata.pixels for metadata in images.metadata if metadata}) == 6
