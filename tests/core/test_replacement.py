"""A bundle takes its place at once, whatever is killed and whoever comes second."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.bundle.storage import check_free, prepare_output, writing
from twofold.core.errors import UsageError
from twofold.core.replacement import exchange, held

# Writes bundles of 200 numbers, one over another, until it is killed.
WRITER = """
import sys
from itertools import count
from pathlib import Path
from twofold.bundle.storage import writing
for number in count():
    with writing(Path(sys.argv[1]), force=True) as folder:
        (folder / "bundle.json").write_text(f"{number} " * 200)
        (folder / "model.onnx").write_text(f"{number} " * 200)
    print(number, flush=True)
"""


def put(path: Path, text: str, *, force: bool = False, meanwhile: Callable[[], object] = lambda: None) -> None:
    with writing(path, force=force) as folder:
        (folder / "bundle.json").write_text(text, encoding="utf-8")
        meanwhile()


def read(path: Path) -> str:
    return (path / "bundle.json").read_text(encoding="utf-8")


def left(path: Path, name: str, text: str = "left") -> Path:
    """A folder as a killed process leaves it."""
    folder = path.with_name(f".{path.name}.{name}")
    folder.mkdir()
    (folder / "bundle.json").write_text(text, encoding="utf-8")
    return folder


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_whenever_the_writer_is_killed_a_whole_bundle_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    for delay in (0.0, 0.001, 0.002, 0.003, 0.005):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        words = {*read(path).split(), *(path / "model.onnx").read_text(encoding="utf-8").split()}
        assert len(words) == 1
    put(path, "after", force=True)
    assert names(tmp_path) == {"a.twofold"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have to go the long way")
def test_while_a_bundle_is_replaced_the_place_is_never_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    put(path, "first")
    missing, done = [], threading.Event()

    def preprocess() -> None:
        while not done.is_set():
            if not path.exists():
                missing.append(True)

    watcher = threading.Thread(target=preprocess)
    watcher.start()
    for number in range(200):
        put(path, str(number), force=True)
    done.set()
    watcher.join()
    assert missing == []
    assert names(tmp_path) == {"a.twofold"}


def test_the_second_of_two_without_force_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    (tmp_path / "a-2.twofold").mkdir()
    with pytest.raises(UsageError, match=r"another has written there meanwhile.*lies in .*a-3\.twofold"):
        put(path, "second", meanwhile=lambda: put(path, "first"))
    assert read(path) == "first"
    assert read(tmp_path / "a-3.twofold") == "second"
    assert names(tmp_path) == {"a.twofold", "a-2.twofold", "a-3.twofold"}


def test_a_file_that_came_meanwhile_is_not_replaced_even_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    for force, rescued in ((False, "a-2.twofold"), (True, "a-3.twofold")):
        path.unlink(missing_ok=True)
        with pytest.raises(UsageError, match=rescued):
            put(path, "mine", force=force, meanwhile=lambda: path.write_text("a letter", encoding="utf-8"))
        assert path.read_text(encoding="utf-8") == "a letter"
        assert read(tmp_path / rescued) == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_an_empty_folder_is_free(tmp_path: Path, force: bool) -> None:
    path = tmp_path / "a.twofold"
    path.mkdir()
    put(path, "new", force=force)
    assert read(path) == "new"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("entry", [".DS_Store", "picture.jpg", "sub"])
def test_a_folder_that_holds_anything_but_a_bundle_is_not_replaced_and_force_is_not_advised(
    tmp_path: Path, entry: str, force: bool
) -> None:
    path = tmp_path / "a.twofold"
    (path / entry).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"is not a bundle, so it is not replaced; give another path") as told:
        check_free(path, force=force)
    assert "force" not in str(told.value)


def test_what_a_killed_process_left_is_told_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    for name in ("abcdefgh", "a_c1efgh", "zzzzzzzz.old"):
        left(path, name)
    (tmp_path / ".a.twofold.abcdefgh" / ".fingerprints.csv.abcd_123").touch()
    put(path.with_name("b.twofold"), "other")
    assert len(names(tmp_path)) == 4
    path.mkdir()
    notes = prepare_output(path, force=False)
    assert [note.code for note in notes] == ["leftovers"] * 3
    assert all("was removed: a process that was writing a.twofold was killed" in note.text for note in notes)
    assert names(tmp_path) == {"a.twofold", "b.twofold"}


def test_what_stood_there_before_a_killed_process_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    left(path, "abcdefgh", "new")
    left(path, "abcdefgh.old", "old")
    with pytest.raises(UsageError, match=r"exists; replace it with `force=True`.*was put back"):
        prepare_output(path, force=False)
    assert read(path) == "old"
    put(path, "next", force=True)
    assert read(path) == "next"
    assert names(tmp_path) == {"a.twofold"}


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    with writing(path, force=False) as folder:
        (folder / "bundle.json").write_text("slow", encoding="utf-8")
        assert prepare_output(path, force=False) == []
        assert read(folder) == "slow"
    assert read(path) == "slow"


@pytest.mark.parametrize("name", ["abcdefg", "abcdefghi", "ABCDEFGH", "abcdefgh.new", "mine"])
def test_folders_of_other_names_are_left_alone(tmp_path: Path, name: str) -> None:
    folder = left(tmp_path / "a.twofold", name)
    put(tmp_path / "a.twofold", "new")
    assert read(folder) == "left"


@pytest.mark.parametrize("entry", ["letter.txt", "sub/bundle.json", ".letter.abcdefgh"])
def test_folders_that_hold_what_is_not_ours_are_left_alone(tmp_path: Path, entry: str) -> None:
    folder = left(tmp_path / "a.twofold", "abcdefgh")
    (folder / entry).parent.mkdir(exist_ok=True)
    (folder / entry).write_text("mine", encoding="utf-8")
    put(tmp_path / "a.twofold", "new")
    assert (folder / entry).read_text(encoding="utf-8") == "mine"


def test_a_link_of_such_a_name_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "b.twofold", "other")
    (tmp_path / ".a.twofold.abcdefgh").symlink_to(tmp_path / "b.twofold")
    put(tmp_path / "a.twofold", "new")
    assert read(tmp_path / "b.twofold") == "other"


def test_an_exchange_of_what_is_not_there_says_so_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not exchange(tmp_path / "a", tmp_path / "missing")
    assert names(tmp_path) == {"a"}


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (os.name != "nt", False)
    with held(tmp_path) as third:
        assert third == (os.name != "nt")
