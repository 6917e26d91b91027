"""Every kind of bad or odd input, through the commands: each path has its one row, and no file is changed."""

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

# A command that takes DATA: what is typed behind it, and where its ledger stands then.
LEDGERS = {
    "train": (("--out", "corpus.twofold", "--quiet"), "corpus.twofold/files.csv"),
    "audit": (("--out", "files.csv", "--quiet"), "files.csv"),
    "audit --quick": (("--out", "files.csv", "--quiet"), "files.csv"),
}
USED = ("used", "flagged")
LEFT_OUT = ("junk", "loop", "outside-classes")  # of what lies in a folder, when the folder is given to `predict`

# Looks at the files that it is given, and prints by how many bytes that let its peak of memory grow.
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
    """Laid out in `folder`, for reading only."""
    yield lay_out(folder)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700)  # so that it can be cleared away


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder: Path) -> dict[Path, tuple[int, int, int, str]]:
    """Of every file and folder: identity, mode, time of change, content."""

    def content(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and os.access(path, os.R_OK) else ""

    found = {path: path.lstat() for path in folder.parent.rglob("*")}
    return {path: (seen.st_ino, seen.st_mode, seen.st_mtime_ns, content(path)) for path, seen in found.items()}


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


@pytest.mark.parametrize("command", LEDGERS)
def test_every_path_has_one_row_with_its_fate_and_nothing_is_changed(
    command: str, folder: Path, corpus: tuple[Odd, ...], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options, file_report = LEDGERS[command]
    before = state(folder)
    with ordinary_rights():
        assert main([*command.split(), str(folder), *options]) == 0
    assert capfd.readouterr().err == ""
    assert state(folder) == before
    met = rows((work / file_report).read_bytes().decode())
    reason = {row["path"]: "" if row["status"] in USED else row["reason"] for row in met}
    assert len(met) == len(reason)
    above = Path() if command == "train" else folder  # a bundle does not say where DATA lay
    assert reason == {printable(str(above / odd.path)): odd.code for odd in corpus}
    assert all(row["sha256"] and row["width"] and row["group"] for row in met if row["status"] in USED)


def test_predict_answers_for_all_that_lies_in_a_folder(
    bundle: Path, folder: Path, corpus: tuple[Odd, ...], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = state(folder)
    with ordinary_rights():
        assert main(["predict", str(bundle), str(folder), "--out", "scores.csv", "--quiet"]) == 0
    assert "files have no prediction (1 empty-file, 1 missing" in capfd.readouterr().err
    assert state(folder) == before
    answers = {row["path"]: row for row in rows((work / "scores.csv").read_bytes().decode())}
    asked = {printable(str(folder / odd.path)): odd for odd in corpus if odd.code not in LEFT_OUT}
    assert set(answers) - set(asked) == {str(folder / "list.txt")}
    for path, odd in asked.items():
        assert bool(answers[path]["label"]) == (answers[path]["reason"] == "")
        expected = {CONFLICT: "", "unreadable": answers[path]["reason"]}.get(odd.code, odd.code)
        assert answers[path]["reason"] == expected, path
    assert answers[str(folder / "rings/closed")]["reason"] == "not-a-file"
    assert answers[str(folder / "rings/closed.png")]["reason"] == "unreadable"


def test_predict_has_a_row_for_every_path_given_in_their_order(
    bundle: Path, folder: Path, corpus: tuple[Odd, ...], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [folder / odd.path for odd in corpus if not (folder / odd.path).is_dir()]
    given += [work / "never there.png", work / ("long" * 99), given[0] / "below a file.png"]
    with ordinary_rights():
        assert main(["predict", str(bundle), *map(str, given), "--quiet"]) == 0
    answers = rows(capsys.readouterr().out)
    assert [row["path"] for row in answers] == [printable(str(path)) for path in given]
    assert [row["reason"] for row in answers[-3:]] == ["missing", "unreadable", "missing"]
    assert all(bool(row["label"]) != bool(row["reason"]) for row in answers)


def test_what_is_used_is_seen_as_it_was_meant(folder: Path, corpus: tuple[Odd, ...]) -> None:
    for odd in corpus:
        if odd.pixels is not None:
            data = read_bytes(folder / odd.path)
            assert isinstance(data, bytes)
            seen = open_image(data)
            assert not isinstance(seen, ReadError), (odd.path, seen)
            assert seen.shape == odd.pixels.shape, odd.path
            assert np.abs(seen - odd.pixels.astype(np.int16)).mean() < 6, odd.path


def test_files_that_vanish_or_shrink_after_they_were_listed_are_told(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "data", 13)
    file_list = list_labelled_files(folder, DataOptions())
    paths = [item.path for item in file_list.files]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    paths[2].write_bytes(b"")
    paths[3].write_bytes(encoded(draw_image(0), "PNG"))  # another picture, whole: it is used
    training = train_files(file_list, paths, TrainingOptions(), Runtime(tmp_path / "cache"))
    file_report = training.audit.file_report()
    assert [row.reason for row in file_report[:3]] == ["missing", "truncated", "empty-file"]
    assert {row.status for row in file_report[3:]} <= set(USED)
    assert (file_report[3].width, file_report[3].height) == (64, 48)


def test_a_file_that_promises_too_much_is_refused_before_its_pixels_have_memory(
    folder: Path, corpus: tuple[Odd, ...]
) -> None:
    bombs = [str(folder / odd.path) for odd in corpus if odd.code == "too-large"]
    done = subprocess.run([sys.executable, "-c", GROWTH, *bombs], capture_output=True, text=True, check=True)
    assert len(bombs) == 6
    assert int(done.stdout) < 8_000_000
    for path in bombs:
        result = preprocess(Path(path).read_bytes(), Preprocessing(16))
        assert isinstance(result, ReadError)
        assert "the limit is 50" in result.sentence


@pytest.mark.parametrize("rest", [{}, {"a.jpg": b"no picture"}])
def test_a_class_without_a_picture_is_one_sentence_that_names_it(
    rest: dict[str, bytes], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_folder(work / "data", 12)
    for path in (folder / "bars").iterdir():
        path.unlink()
    for name, data in rest.items():
        (folder / "bars" / name).write_bytes(data)
    assert main(["train", str(folder), "--out", "b.twofold"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'bars'" in said
