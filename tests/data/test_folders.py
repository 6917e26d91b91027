"""The files of folders."""

import shutil
from pathlib import Path

import pytest
from rights import ordinary_rights

from twofold.core.errors import DataError
from twofold.data import Skip, list_files
from twofold.data.folders import entries, walk


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_files_come_in_sorted_order_and_junk_is_a_skip(tmp_path: Path) -> None:
    junk = [
        ".hidden/d.jpg",
        "._a.jpg",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/._a.jpg",
        "b/.ipynb_checkpoints/c.jpg",
        "lost+found/d.jpg",
        "Icon\r",
    ]
    make(tmp_path, "b/2.jpg", "b/10.jpg", "a.jpg", "c.txt", *junk)
    walked = list(walk(tmp_path))
    assert [str(entry.relative_to(tmp_path)) for entry in walked if isinstance(entry, Path)] == [
        "a.jpg",
        "b/10.jpg",
        "b/2.jpg",
        "c.txt",
    ]
    skips = [entry for entry in walked if isinstance(entry, Skip)]
    assert len(skips) == len(junk)
    assert {skip.code for skip in skips} == {"junk"}


def test_links_to_a_folder_that_contains_them_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(".")
    walked = list(walk(tmp_path))
    assert [entry for entry in walked if isinstance(entry, Path)] == [tmp_path / "a/1.jpg"]
    assert [entry.code for entry in walked if isinstance(entry, Skip)] == ["loop", "loop"]


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/1.jpg")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/link").symlink_to(tmp_path / "elsewhere")
    assert list_files([tmp_path / "here"]) == [tmp_path / "here/link/1.jpg"]


def test_paths_to_predict_keep_their_order_and_missing_ones_stay(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a.jpg", "f/2.jpg", "f/1.jpg", "f/.DS_Store")
    paths = [tmp_path / name for name in ("b.jpg", "f", "none.jpg", "a.jpg", "b.jpg")]
    names = ["b.jpg", "f/1.jpg", "f/2.jpg", "none.jpg", "a.jpg", "b.jpg"]
    assert list_files(paths) == [tmp_path / name for name in names]


def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be listed"):
        entries(tmp_path / "nowhere")


def test_a_sub_folder_that_cannot_be_listed_is_a_skip_and_the_walk_continues(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "closed/1.jpg", "listed only/2.jpg", "z.jpg")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "listed only").chmod(0o400)
    with ordinary_rights():
        walked, files = list(walk(tmp_path)), list_files([tmp_path, tmp_path / "listed only/2.jpg"])
    (tmp_path / "closed").chmod(0o700)
    first, closed, *following = walked
    assert [first, *following] == [tmp_path / name for name in ("a.jpg", "listed only/2.jpg", "z.jpg")]
    assert isinstance(closed, Skip)
    assert (closed.path, closed.code) == (tmp_path / "closed", "unreadable")
    assert "Permission denied" in closed.sentence
    assert files == [tmp_path / name for name in ("a.jpg", "closed", "listed only/2.jpg", "z.jpg", "listed only/2.jpg")]


def test_a_folder_to_predict_that_cannot_be_listed_stays_in_the_list(tmp_path: Path) -> None:
    make(tmp_path, "closed/1.jpg", "z.jpg")
    (tmp_path / "closed").chmod(0)
    with ordinary_rights():
        assert list_files([tmp_path / "closed", tmp_path / "z.jpg"]) == [tmp_path / "closed", tmp_path / "z.jpg"]
    (tmp_path / "closed").chmod(0o700)


def test_files_that_are_deleted_during_the_walk_do_not_end_it(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/1.jpg", "c/d/2.jpg", "c/e/3.jpg", "z.jpg")
    walked = walk(tmp_path)
    first = [next(walked)]
    shutil.rmtree(tmp_path / "b")
    first += [next(walked), next(walked)]
    shutil.rmtree(tmp_path / "c")
    (tmp_path / "z.jpg").unlink()
    names = ["a.jpg", "b", "c/d/2.jpg", "c/e", "z.jpg"]  # reading the deleted ones gives a read error
    assert [*first, *walked] == [tmp_path / name for name in names]


def test_an_impossible_file_name_stays_in_the_list(tmp_path: Path) -> None:
    paths = [tmp_path / ("a" * 300), tmp_path / "a\0b"]
    assert list_files(paths) == paths


def test_folders_more_than_a_hundred_deep_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "a/" * 100 + "1.jpg", "a/" * 101 + "2.jpg", "b/" * 600 + "3.jpg", "z.jpg")
    walked = list(walk(tmp_path))
    assert [entry for entry in walked if isinstance(entry, Path)] == [
        tmp_path / ("a/" * 100) / "1.jpg",
        tmp_path / "z.jpg",
    ]
    skips = [entry for entry in walked if isinstance(entry, Skip)]
    assert [(skip.path, skip.code) for skip in skips] == [(tmp_path / (a * 101), "too-deep") for a in ("a/", "b/")]
    assert {skip.path for skip in skips} < set(list_files([tmp_path]))
