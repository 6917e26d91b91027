"""Without a home folder or a cache in it, twofold works all the same."""

from pathlib import Path

import pytest
from rights import ordinary_rights

from twofold.cli import terminal
from twofold.core.options import RuntimeOptions
from twofold.embedding import Runtime


def user_runtime(*, cache: bool = True) -> Runtime:
    return terminal.runtime(RuntimeOptions(cache=cache), quiet=True)


def test_the_cache_folder_is_the_users_and_is_not_created_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runtime = user_runtime()
    assert (runtime.folder, runtime.options.cache, runtime.notes) == (tmp_path / "cache/twofold", True, ())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["file", "file/below", "closed", "closed/below", "/dev/null", "/proc/none", "loop"])
def test_a_cache_folder_that_cannot_be_used_is_noted_and_not_needed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / path))
    with ordinary_rights():
        runtime, uncached = user_runtime(), user_runtime(cache=False)
    assert not runtime.options.cache
    assert [note.code for note in runtime.notes] == ["cache-unusable"]
    assert "Nothing is kept between runs: set XDG_CACHE_HOME" in runtime.notes[0].text
    assert uncached.notes == ()
    assert runtime.folder == uncached.folder  # nothing is downloaded twice
    assert runtime.folder.is_dir()
    assert not runtime.folder.is_relative_to(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "closed", "loop"}


@pytest.mark.parametrize("home", ["relative", "../up", "~nobody-of-this-name", "file"])
def test_a_home_that_is_no_folder_stays_untouched(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file") if home == "file" else home)
    monkeypatch.chdir(tmp_path)
    runtime = user_runtime()
    assert runtime.folder.is_absolute()
    assert not runtime.folder.is_relative_to(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
