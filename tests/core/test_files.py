"""Files are complete or untouched."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rights import full_disk, ordinary_rights

from twofold.bundle.storage import check_free
from twofold.core.errors import TwofoldError, UsageError
from twofold.core.files import (
    check_replaceable,
    check_writable_file,
    make_private,
    make_temporary_folder,
    open_binary_replacement,
    open_replacement,
    printable,
)
from twofold.fetching import check_out

FULL = Path("/dev/full")


def test_a_file_is_written_with_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with open_replacement(tmp_path / "a.csv") as file:
        file.write("caf\udce9\n")
    assert (tmp_path / "a.csv").read_bytes() == b"caf\\udce9\n"
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_on_failure_the_old_file_stays_and_no_other_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with open_replacement(path) as file:
            file.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_kept_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "there" / "a.csv")
    for text in ("first", "second"):
        with open_replacement(tmp_path / "link.csv") as file:
            file.write(text)
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "there" / "a.csv").read_text(encoding="utf-8") == text


def test_a_broken_link_is_an_error_before_work_and_a_link_to_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "lost.csv").symlink_to(tmp_path / "none" / "a.csv")
    with pytest.raises(UsageError, match=r"There is no folder .*none to write a\.csv into"):
        check_writable_file(tmp_path / "lost.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with open_replacement(tmp_path / "loop.csv") as file:
        file.write("text")
    assert (tmp_path / "loop.csv").read_text(encoding="utf-8") == "text"


def test_only_a_file_with_the_same_beginning_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content in (None, b"", b"path,label,status\n"):
        if content is not None:
            path.write_bytes(content)
        check_replaceable(path, "path,label,", "file report", force=True)
    with pytest.raises(UsageError, match="exists already; replace it with `force=True`"):
        check_replaceable(path, "path,label,", "file report", force=False)
    for content in (b"p", b"path,label\n", b"\xff\xd8\xff"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="exists and is not a file report: give another file"):
            check_replaceable(path, "path,label,", "file report", force=True)


@pytest.mark.parametrize("check", [check_writable_file, check_out, partial(check_free, force=False)])
def test_a_folder_without_permission_and_a_file_as_parent_are_errors_before_work(
    check: Callable[[Path], None], tmp_path: Path
) -> None:
    closed, file = tmp_path / "closed", tmp_path / "file"
    closed.mkdir(mode=0o555)
    file.touch()
    with ordinary_rights():
        with pytest.raises(UsageError, match="closed is not writable"):
            check(closed / "new")
        with pytest.raises(UsageError, match="There is no folder .*file|file is a file, not a folder"):
            check(file / "new")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_replacement(pipe) as file:
        file.write("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_stdout_that_is_redirected_to_a_file_is_not_replaced(tmp_path: Path) -> None:
    """What other programs write into that file would be lost."""
    log = tmp_path / "log"
    log.write_text("before\n")
    code = (
        "from pathlib import Path\n"
        "from twofold.core.files import check_writable_file\n"
        "check_writable_file(Path('/dev/stdout'))"
    )
    with log.open("a") as file:
        process = subprocess.run([sys.executable, "-c", code], stdout=file, stderr=subprocess.PIPE, text=True)
    assert f"/dev/stdout leads to the file {log}: give that file" in process.stderr
    assert log.read_text() == "before\n"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE).returncode == 0


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch(mode=0o600)
    with open_replacement(path) as file:
        file.write("text")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_a_file_is_an_error(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no" / "a.csv", "There is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=message), open_replacement(path):
            pass


def test_control_sequences_are_escaped() -> None:
    assert printable("a\x1b]0;x\x07\r\x9b\x7f\0\nb\tc 猫🐈") == "a\\x1b]0;x\\x07\\x0d\\x9b\\x7f\\x00\nb\tc 猫🐈"


@pytest.mark.parametrize("old", [None, b"old"])
def test_on_a_full_disk_the_old_file_stays_and_an_error_is_raised(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    if old is not None:
        path.write_bytes(old)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for write, text in ((open_replacement, "x" * 9_000), (open_binary_replacement, b"x" * 90_000)):
        with (
            full_disk(5_000),
            pytest.raises(TwofoldError, match=r"a\.csv cannot be written \(File too large\): make room"),
            write(path) as file,
        ):  # type: ignore[operator]
            file.write(text)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_files_and_folders_follow_the_umask_which_is_not_changed(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with open_replacement(tmp_path / "a.csv") as file:
            file.write("text")
        folder = make_temporary_folder(tmp_path / "folder")
    finally:
        assert os.umask(before) == mask
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_full_device_is_an_error() -> None:
    message = r"/dev/full cannot be written \(No space left on device\)"
    with pytest.raises(TwofoldError, match=message), open_replacement(FULL) as file:
        file.write("x")


def test_new_and_existing_folders_are_made_private(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    for folder in (tmp_path / "open", tmp_path / "new/below"):
        make_private(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
