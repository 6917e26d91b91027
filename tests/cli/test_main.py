"""twofold as a process, as systems are: without a home folder, with a full disk, with nobody who reads."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rights import full_disk

from twofold.cli import main

NOBODY = 54_321  # no user of this machine
PROGRAM = [sys.executable, "-m", "twofold"]


def environment(**more: str) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], **more}


@pytest.fixture
def public(drawn: Path, bundle: Path) -> Iterator[Path]:
    """A folder with images and a bundle that anybody may read, and `out`, where anybody may write."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(drawn, Path(folder) / "images")
        shutil.copytree(bundle, Path(folder) / "b.twofold")
        (Path(folder) / "out").mkdir()
        (Path(folder) / "out").chmod(0o777)
        yield Path(folder)


@pytest.fixture
def nobody(public: Path) -> list[str]:
    """What begins a command that a user without a name runs."""
    begin = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *PROGRAM]
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may start a process as another user, by setpriv")
    if subprocess.run([*begin, "--version"], env=environment(), capture_output=True, cwd=public).returncode:
        pytest.skip("Python or twofold lies where no other user may read it")
    return begin


@pytest.mark.parametrize(
    "home", [{}, {"HOME": "relative", "XDG_CACHE_HOME": "relative"}, {"HOME": "/", "TMPDIR": "/none"}]
)
def test_a_user_without_a_name_or_a_home_trains_and_asks(home: dict[str, str], public: Path, nobody: list[str]) -> None:
    out, images = public / "out", str(public / "images")
    words = ["train", images, "--out", "b.twofold", "--quiet", "--json", "--dtype", "f32"]
    done = subprocess.run([*nobody, *words], env=environment(**home), capture_output=True, cwd=out, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cache-unusable" in [note["code"] for note in json.loads(done.stdout)["notes"]]
    words = ["predict", "b.twofold", f"{images}/bars"]
    done = subprocess.run([*nobody, *words], env=environment(**home), capture_output=True, cwd=out, text=True)
    assert (done.returncode, done.stdout.count(",bars,")) == (0, 20)
    assert done.stderr.startswith("note: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in out.iterdir()] == ["b.twofold"]


@pytest.mark.parametrize("closed", ["stdout", "both"])
def test_whoever_reads_may_end_first(closed: str, public: Path) -> None:
    """As in `twofold predict … | head`: no traceback, and the exit code that a shell gives for other programs."""
    read, write = os.pipe()
    os.close(read)
    words = [*PROGRAM, "predict", str(public / "b.twofold"), str(public / "images"), "--no-cache"]
    errors = write if closed == "both" else subprocess.PIPE
    done = subprocess.run(words, env=environment(), stdout=write, stderr=errors, text=True)
    os.close(write)
    assert done.returncode == 141
    assert not done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("words", [["train", "--help"], ["predict", "b.twofold", "images", "--no-cache"]])
def test_output_that_cannot_be_written_is_an_error(public: Path, words: list[str]) -> None:
    words = [*PROGRAM, *(str(public / word) if (public / word).exists() else word for word in words)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "twofold: The output cannot be written: No space left on device.\n")


class BrokenInput:
    """stdin on a device that fails."""

    def __iter__(self) -> Iterator[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_error_of_the_system_is_not_taken_for_one_of_the_output(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", BrokenInput())
    output = os.fstat(1)
    assert main(["predict", str(bundle), "-"]) == 1
    assert capsys.readouterr().err == (
        "twofold: Reading or writing failed: Input/output error. Check files and disks, and run the command again.\n"
    )
    assert os.path.samestat(os.fstat(1), output)


def test_streams_that_are_closed_are_gone_without(public: Path) -> None:
    command = (
        f"exec {' '.join(PROGRAM)} predict {public}/b.twofold {public}/images --out {public}/out/a.csv <&- >&- 2>&-"
    )
    assert subprocess.run(["sh", "-c", command], env=environment(HOME=str(public))).returncode == 0
    assert (public / "out/a.csv").read_text().count("\n") == 41


@pytest.mark.parametrize(
    ("words", "room", "named"),
    [
        (["evaluate", "{bundle}", "{drawn}", "--out", "{new}"], 3_000, "drawn_on_images_confusion.svg"),
        (["predict", "{bundle}", "{drawn}", "--out", "{new}"], 100, "new"),
        (["audit", "{drawn}", "--quick", "--out", "{new}"], 100, "new"),
        (["train", "{drawn}", "--out", "{new}", "--dtype", "f32"], 100_000, "new"),
        (["train", "{drawn}", "--out", "{new}", "--dtype", "f32"], 1_000, "files.csv"),
        (["fetch", "{drawn}", "--out", "{new}"], 1_000, "new"),
    ],
)
def test_on_a_full_disk_no_cut_off_file_stays_and_the_error_says_so(
    words: list[str],
    room: int,
    named: str,
    drawn: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    given = {"bundle": str(bundle), "drawn": str(drawn), "new": str(tmp_path / "here/new")}
    with full_disk(room):
        code = main([word.format(**given) for word in words])
    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("twofold: ")
    assert f"{named} cannot be written (File too large): make room" in said
    assert not [path for path in (tmp_path / "here").rglob("*") if path.is_file()]


def test_figures_that_do_not_fit_leave_the_bundle_and_no_part_of_one(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures go to another disk, as it were: their folder holds one that may not be replaced."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "figures/roc.svg").mkdir(parents=True)
    words = ["train", str(drawn), "--out", str(tmp_path / "b"), "--dtype", "f32"]
    assert main([*words, "--figures", str(tmp_path / "figures")]) == 2
    assert "roc.svg is a folder" in capsys.readouterr().err
    assert (tmp_path / "b/bundle.json").is_file()
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"confusion.png", "confusion.svg", "roc.svg"}
