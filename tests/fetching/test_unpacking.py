"""Files are written below the new folder only, or not at all."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from fetching.server import Server

from twofold.cli import main
from twofold.cli.fetch_command import fetch
from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files
from twofold.fetching import unpack


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture
def pets(tmp_path: Path, zip_bytes: bytes) -> Path:
    (tmp_path / "pets.zip").write_bytes(zip_bytes)
    return tmp_path / "pets.zip"


def test_an_archive_becomes_a_folder(pets: Path, members: dict[str, bytes], tmp_path: Path) -> None:
    unpacked = unpack(pets, tmp_path / "out")
    assert files(tmp_path / "out") == members
    assert (unpacked.files, unpacked.bytes, unpacked.skipped) == (12, 240_000, {})
    assert (tmp_path / "out").stat().st_mode & 0o777 == (tmp_path / "out/pets").stat().st_mode & 0o777
    assert sorted(tree(tmp_path))[0] == "out"  # no temporary folder is left


def test_a_folder_of_an_archive_becomes_a_folder(pets: Path, tmp_path: Path) -> None:
    unpack(pets / "pets/train", tmp_path / "out")
    assert set(files(tmp_path / "out")) == {f"{label}/{at}.jpg" for label in ("cats", "dogs") for at in range(3)}


def test_the_working_folder_can_be_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats/1.jpg").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    unpacked = unpack(Path(), Path("out"))
    assert files(tmp_path / "out") == {"cats/1.jpg": b"x"}
    assert unpacked.skipped == {}


def test_nothing_is_written_outside_the_new_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:

        def put(name: str, data: bytes = b"x", **fields: object) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(data))

        put("good.jpg", mode=0o4777)
        put("link", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path / "victim"))
        put("link/through.jpg")
        put("hard", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")
        put("../up.jpg")
        put(str(tmp_path / "absolute.jpg"))
    (tmp_path / "victim").mkdir()
    unpacked = unpack(tmp_path / "evil.tar", tmp_path / "deep")
    assert files(tmp_path / "deep") == {"good.jpg": b"x", "link/through.jpg": b"x"}
    assert unpacked.skipped == {"link": 2, "unsafe-name": 2}
    assert tree(tmp_path) == {"evil.tar", "victim", "deep", "deep/good.jpg", "deep/link", "deep/link/through.jpg"}
    assert not (tmp_path / "deep/good.jpg").stat().st_mode & 0o111


def test_bombs_and_damaged_members_are_skipped_and_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mixed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", bytes(20_000_000))
        archive.writestr("2.jpg", b"x")
        archive.writestr("__MACOSX/._2.jpg", b"x")
    unpacked = unpack(tmp_path / "mixed.zip", tmp_path / "out")
    assert files(tmp_path / "out") == {"2.jpg": b"x"}
    assert unpacked.skipped == {"bomb": 1, "junk": 1}


def test_if_no_file_can_be_written_there_is_no_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for name in ("1.jpg", "2.jpg"):
            archive.writestr(name, b"x")
    with pytest.raises(DataError, match=r"No file of .*odd\.zip can be written \(2 unsupported-format\)"):
        unpack(tmp_path / "odd.zip", tmp_path / "out")
    assert tree(tmp_path) == {"odd.zip"}


def test_names_that_are_too_long_are_skipped_and_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as archive:
        for name in ("1.jpg", "a" * 300, "b" * 300 + "/2.jpg"):
            archive.writestr(name, b"x")
    unpacked = unpack(tmp_path / "long.zip", tmp_path / "out")
    assert files(tmp_path / "out") == {"1.jpg": b"x"}
    assert unpacked.skipped == {"unsafe-name": 2}


def test_above_the_limit_nothing_is_left(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unpacked has 120,000 bytes, the limit is 100,000"):
        unpack(pets, tmp_path / "out", limit=100_000)
    assert tree(tmp_path) == {"pets.zip"}


def test_an_existing_folder_is_an_error(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("out", "dangling", "pets.zip"):
        with pytest.raises(UsageError, match="exists; give a new folder"):
            unpack(pets, tmp_path / name)
    with pytest.raises(UsageError, match="There is no folder"):
        unpack(pets, tmp_path / "no" / "out")


def test_what_is_not_a_folder_or_archive_is_an_error(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label")
    for data in (tmp_path / "list.csv", tmp_path / "nowhere", pets / "none", pets / "pets/train/cats/0.jpg"):
        with pytest.raises(DataError, match="There is no folder or archive"):
            unpack(data, tmp_path / "out")
    assert tree(tmp_path) == {"list.csv", "pets.zip"}


def test_the_command_prints_what_was_written_and_the_next_commands(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert fetch(server.url("whole"), Path("my pets")) == 0
    assert capsys.readouterr().out == (
        "Wrote my pets: 12 files\n"
        "my pets/pets/train: 3 cats, 3 dogs\n"
        "my pets/pets/test: 3 cats, 3 dogs\n"
        "\n"
        "Next:\n"
        "  twofold train 'my pets/pets/train' --out NAME.twofold\n"
        "  twofold evaluate NAME.twofold 'my pets/pets/test'\n"
    )
    assert len(list_labelled_files(Path("my pets/pets/train"), DataOptions()).files) == 6
    assert fetch("my pets/pets/train", Path("copy"), json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"] == [{"path": "copy", "counts": {"cats": 3, "dogs": 3}}]
    assert result["next"] == ["twofold train copy --out NAME.twofold"]
    assert (result["files"], result["skipped"], result["sha256"], result["notes"]) == (6, {}, None, [])


def test_control_sequences_in_names_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        for label in ("cats", "dogs\x1b]0;owned\x07"):
            archive.writestr(f"{label}/1.jpg", b"x")
    assert fetch(str(tmp_path / "odd.zip"), tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "1 dogs\\x1b]0;owned\\x07 " in f"{' '.join(text.split())} "  # lines are wrapped
    assert all(character.isprintable() for line in text.splitlines() for character in line)


def test_data_without_two_classes_is_fetched_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        archive.writestr("cat.0.jpg", b"x")
    assert main(["fetch", str(tmp_path / "flat.zip"), "--out", str(tmp_path / "out")]) == 0
    assert "note:" in (text := capsys.readouterr().out)
    assert "--label-pattern" in text
    assert "Next" not in text
