"""Files to bytes."""

import os
from pathlib import Path

from twofold.data import Refusal, Square, files, look, read_bytes


def refused(path: Path) -> Refusal:
    result = read_bytes(path)
    assert isinstance(result, Refusal)
    return result


def test_a_file_gives_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"abc")
    assert read_bytes(tmp_path / "a.jpg") == b"abc"


def test_what_is_no_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken-link.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would wait for ever
    codes = {name: refused(tmp_path / name).code for name in ("none.jpg", "broken-link.jpg", ".", "pipe.jpg", "a\0b")}
    assert codes == {
        "none.jpg": "missing",
        "broken-link.jpg": "missing",
        ".": "not-a-file",
        "pipe.jpg": "not-a-file",
        "a\0b": "unreadable",
    }
    assert refused(tmp_path / ("a" * 300)).code == "unreadable"


def test_a_file_too_large_for_a_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)  # a hole: it takes no room
    assert refused(tmp_path / "film.jpg").code == "too-large"


def test_looking_at_a_file_never_changes_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data[: len(data) - len(name) % 2])  # some of them damaged
        before = path.stat()
        read = read_bytes(path)
        assert isinstance(read, bytes)
        look(read, Square(16))
        after = path.stat()
        assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
        assert path.read_bytes() == read
    assert len(list(tmp_path.iterdir())) == len(files)
