"""Every kind of bad or odd input through the commands: each path has one row, and no file is changed."""

import csv
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from corpus import CONFLICT, Odd, draw_image, encoded, lay_out
from drawings import draw_folder
from rights import ordinary_rights

from twofold.cli import main
from twofold.core.files import printable
from twofold.core.options import DataOptions, TrainingOptions
from twofold.data import Preprocessing, ReadError, list_labelled_files, open_image, preprocess, read_bytes
from twofold.embedding import Runtime
from twofold.workflows.train import train_files

# A command that takes DATA -> its other arguments, and where it writes the file report.
FILE_REPORTS = {
    "train": (("--out", "corpus.twofold", "--quiet"), "corpus.twofold/files.csv"),
    "audit": (("--out", "files.csv", "--quiet"), "files.csv"),
    "audit --quick": (("--out", "files.csv", "--quiet"), "files.csv"),
}
USED = ("used", "flagged")
EXCLUDED = ("junk", "loop", "outside-classes")  # without a row when the folder is given to `predict`

# Preprocesses the files in its arguments, and prints by how many bytes its peak of memory grew.
GROWTH = """
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from twofold.data import Preprocessing, preprocess

preprocess(b"\\x89PNG\\r\\n\\x1a\\n", Preprocessing(16))
before = getrusage(RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    preprocess(Path(path).read_bytes(), Preprocessing(16))
print((getrusage(RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus") / "corpus"


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Iterator[tuple[Odd, ...]]:
    """The corpus in `folder`, which no test may change."""
    yield lay_out(folder)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700)  # so that it can be removed


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder: Path) -> dict[Path, tuple[int, int, int, str]]:
    """Identity, mode, time of change and content of every file and folder."""

    def content(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and os.access(path, os.R_OK) else ""

    stats = {path: path.lstat() for path in folder.parent.rglob("*")}
    return {path: (stat.st_ino, stat.st_mode, stat.st_mtime_ns, content(path)) for path, stat in stats.items()}


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


@pytest.mark.parametrize("command", FILE_REPORTS)
def test_every_path_has_one_row_with_its_status_and_no_file_is_changed(
    command: str, folder: Path, corpus: tuple[Odd, ...], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options, file_report = FILE_REPORTS[command]
    before = state(folder)
    with ordinary_rights():
        assert main([*command.split(), str(folder), *options]) == 0
    assert capfd.readouterr().err == ""
    assert state(folder) == before
    report = rows((work / file_report).read_bytes().decode())
    reason = {row["path"]: "" if row["status"] in USED else row["reason"] for row in report}
    assert len(report) == len(reason)
    parent = Path() if command == "train" else folder  # a bundle does not say where DATA was
    assert reason == {printable(str(parent / odd.path)): odd.code for odd in corpus}
    assert all(row["sha256"] and row["width"] and row["group"] for row in report if row["status"] in USED)


def test_predict_has_a_row_for_every_file_of_a_folder(
    bundle: Path, folder: Path, corpus: tuple[Odd, ...], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = state(folder)
    with ordinary_rights():
        assert main(["predict", str(bundle), str(folder), "--out", "scores.csv", "--quiet", "--always-answer"]) == 0
    assert "files (1 empty-file, 1 missing" in capfd.readouterr().err
    assert state(folder) == before
    predictions = {row["path"]: row for row in rows((work / "scores.csv").read_bytes().decode())}
    cases = {printable(str(folder / odd.path)): odd for odd in corpus if odd.code not in EXCLUDED}
    assert set(predictions) - set(cases) == {str(folder / "list.txt")}
    for path, odd in cases.items():
        assert bool(predictions[path]["label"]) == (predictions[path]["reason"] == "")
        expected = {CONFLICT: "", "unreadable": predictions[path]["reason"]}.get(odd.code, odd.code)
        assert predictions[path]["reason"] == expected, path
    assert predictions[str(folder / "rings/closed")]["reason"] == "not-a-file"
    assert predictions[str(folder / "rings/closed.png")]["reason"] == "unreadable"


def test_predict_has_a_row_for_every_path_in_the_order_given(
    bundle: Path, folder: Path, corpus: tuple[Odd, ...], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [folder / odd.path for odd in corpus if not (folder / odd.path).is_dir()]
    paths += [work / "never there.png", work / ("long" * 99), paths[0] / "below a file.png"]
    with ordinary_rights():
        assert main(["predict", str(bundle), *map(str, paths), "--quiet"]) == 0
    predictions = rows(capsys.readouterr().out)
    assert [row["path"] for row in predictions] == [printable(str(path)) for path in paths]
    assert [row["reason"] for row in predictions[-3:]] == ["missing", "unreadable", "missing"]
    assert all(bool(row["label"]) != bool(row["reason"]) for row in predictions)


def test_used_images_have_the_expected_pixels(folder: Path, corpus: tuple[Odd, ...]) -> None:
    for odd in corpus:
        if odd.pixels is not None:
            data = read_bytes(folder / odd.path)
            assert isinstance(data, bytes)
            image = open_image(data)
            assert not isinstance(image, ReadError), (odd.path, image)
            assert image.shape == odd.pixels.shape, odd.path
            assert np.abs(image - odd.pixels.astype(np.int16)).mean() < 6, odd.path


def test_files_that_vanish_or_shrink_after_listing_are_in_the_file_report(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "data", 13)
    file_list = list_labelled_files(folder, DataOptions())
    paths = [item.path for item in file_list.files]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    paths[2].write_bytes(b"")
    paths[3].write_bytes(encoded(draw_image(0), "PNG"))  # another image, complete: it is used
    training = train_files(file_list, paths, TrainingOptions(), Runtime(tmp_path / "cache"))
    file_report = training.audit.file_report()
    assert [row.reason for row in file_report[:3]] == ["missing", "truncated", "empty-file"]
    assert {row.status for row in file_report[3:]} <= set(USED)
    assert (file_report[3].width, file_report[3].height) == (64, 48)


def test_a_bomb_is_refused_before_memory_is_allocated_for_its_pixels(folder: Path, corpus: tuple[Odd, ...]) -> None:
    bombs = [str(folder / odd.path) for odd in corpus if odd.code == "too-large"]
    process = subprocess.run([sys.executable, "-c", GROWTH, *bombs], capture_output=True, text=True, check=True)
    assert len(bombs) == 6
    assert int(process.stdout) < 8_000_000
    for path in bombs:
        result = preprocess(Path(path).read_bytes(), Preprocessing(16))
        assert isinstance(result, ReadError)
        assert "the limit is 50" in result.sentence


@pytest.mark.parametrize("files", [{}, {"a.jpg": b"no image"}])
def test_a_class_without_an_image_is_one_sentence_that_names_it(
    files: dict[str, bytes], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_folder(work / "data", 12)
    for path in (folder / "bars").iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / "bars" / name).write_bytes(data)
    assert main(["train", str(folder), "--out", "b.twofold"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'bars'" in error
