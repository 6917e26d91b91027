"""A bundle is replaced in one step, also if the writer is killed or another one writes at the same time."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.bundle.storage import check_free, new_bundle_folder, prepare_output
from twofold.core.errors import UsageError
from twofold.core.replacement import exchange, try_lock

# Replaces a bundle of 200 equal numbers until it is killed.
WRITER = """
import sys
from itertools import count
from pathlib import Path
from twofold.bundle.storage import new_bundle_folder
for number in count():
    with new_bundle_folder(Path(sys.argv[1]), force=True) as folder:
        (folder / "bundle.json").write_text(f"{number} " * 200)
        (folder / "model.onnx").write_text(f"{number} " * 200)
    print(number, flush=True)
"""


def put(path: Path, text: str, *, force: bool = False, meanwhile: Callable[[], object] = lambda: None) -> None:
    with new_bundle_folder(path, force=force) as folder:
        (folder / "bundle.json").write_text(text, encoding="utf-8")
        meanwhile()


def read(path: Path) -> str:
    return (path / "bundle.json").read_text(encoding="utf-8")


def leave(path: Path, name: str, text: str = "left") -> Path:
    """A folder as a killed process leaves it behind."""
    folder = path.with_name(f".{path.name}.{name}")
    folder.mkdir()
    (folder / "bundle.json").write_text(text, encoding="utf-8")
    return folder


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_permissions_of_a_bundle_follow_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        put(tmp_path / "a.twofold", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.twofold").stat().st_mode) == 0o777 & ~mask


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_after_the_writer_is_killed_the_bundle_is_complete(tmp_path: Path) -> None:
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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may need two steps")
def test_while_a_bundle_is_replaced_the_path_always_exists(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    put(path, "first")
    missing, done = [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            if not path.exists():
                missing.append(True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(200):
        put(path, str(number), force=True)
    done.set()
    watcher.join()
    assert missing == []
    assert names(tmp_path) == {"a.twofold"}


def test_the_second_writer_without_force_gets_an_error_and_its_bundle_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    (tmp_path / "a-2.twofold").mkdir()
    with pytest.raises(UsageError, match=r"another process wrote there.*the result is in .*a-3\.twofold"):
        put(path, "second", meanwhile=lambda: put(path, "first"))
    assert read(path) == "first"
    assert read(tmp_path / "a-3.twofold") == "second"
    assert names(tmp_path) == {"a.twofold", "a-2.twofold", "a-3.twofold"}


def test_a_file_created_meanwhile_is_not_replaced_even_by_force(tmp_path: Path) -> None:
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
@pytest.mark.parametrize("entry", [".DS_Store", "image.jpg", "sub"])
def test_a_folder_that_is_not_a_bundle_is_not_replaced_and_force_is_not_advised(
    tmp_path: Path, entry: str, force: bool
) -> None:
    path = tmp_path / "a.twofold"
    (path / entry).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"is not a bundle, so it is not replaced; give another path") as caught:
        check_free(path, force=force)
    assert "force" not in str(caught.value)


def test_leftovers_of_a_killed_process_are_removed_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    for name in ("abcdefgh", "a_c1efgh", "zzzzzzzz.old"):
        leave(path, name)
    (tmp_path / ".a.twofold.abcdefgh" / ".fingerprints.csv.abcd_123").touch()
    put(path.with_name("b.twofold"), "other")
    assert len(names(tmp_path)) == 4
    path.mkdir()
    notes = prepare_output(path, force=False)
    assert [note.code for note in notes] == ["leftovers"] * 3
    assert all("was removed: a process was killed while it wrote a.twofold" in note.text for note in notes)
    assert names(tmp_path) == {"a.twofold", "b.twofold"}


def test_the_bundle_before_a_killed_process_is_moved_back(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    leave(path, "abcdefgh", "new")
    leave(path, "abcdefgh.old", "old")
    with pytest.raises(UsageError, match=r"exists; replace it with `force=True`.*was moved back"):
        prepare_output(path, force=False)
    assert read(path) == "old"
    put(path, "next", force=True)
    assert read(path) == "next"
    assert names(tmp_path) == {"a.twofold"}


def test_the_folder_of_a_running_process_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.twofold"
    with new_bundle_folder(path, force=False) as folder:
        (folder / "bundle.json").write_text("slow", encoding="utf-8")
        assert prepare_output(path, force=False) == []
        assert read(folder) == "slow"
    assert read(path) == "slow"


@pytest.mark.parametrize("name", ["abcdefg", "abcdefghi", "ABCDEFGH", "abcdefgh.new", "mine"])
def test_folders_with_other_names_are_not_touched(tmp_path: Path, name: str) -> None:
    folder = leave(tmp_path / "a.twofold", name)
    put(tmp_path / "a.twofold", "new")
    assert read(folder) == "left"


@pytest.mark.parametrize("entry", ["letter.txt", "sub/bundle.json", ".letter.abcdefgh"])
def test_folders_with_other_files_are_not_touched(tmp_path: Path, entry: str) -> None:
    folder = leave(tmp_path / "a.twofold", "abcdefgh")
    (folder / entry).parent.mkdir(exist_ok=True)
    (folder / entry).write_text("mine", encoding="utf-8")
    put(tmp_path / "a.twofold", "new")
    assert (folder / entry).read_text(encoding="utf-8") == "mine"


def test_a_link_with_such_a_name_is_not_touched(tmp_path: Path) -> None:
    put(tmp_path / "b.twofold", "other")
    (tmp_path / ".a.twofold.abcdefgh").symlink_to(tmp_path / "b.twofold")
    put(tmp_path / "a.twofold", "new")
    assert read(tmp_path / "b.twofold") == "other"


def test_an_exchange_with_a_missing_folder_fails_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not exchange(tmp_path / "a", tmp_path / "missing")
    assert names(tmp_path) == {"a"}


def test_a_folder_is_locked_by_one_at_a_time(tmp_path: Path) -> None:
    with try_lock(tmp_path) as first, try_lock(tmp_path) as second:
        assert (first, second) == (os.name != "nt", False)
    with try_lock(tmp_path) as third:
        assert third == (os.name != "nt")
