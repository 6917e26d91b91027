"""twofold explain: what is printed and written, and the exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from twofold.cli import main


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled networks of all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    for pattern in ("bars", "rings"):
        draw(pattern, 77).save(tmp_path / "new" / f"{pattern}.png")
    (tmp_path / "new" / "text.jpg").write_bytes(b"no image")
    return tmp_path


def test_each_image_gets_a_line_an_overlay_and_a_map(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(bundle), "new"]) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith("new/bars.png: bars, probability of rings 0.")
    assert "% of the evidence in 10% of the area" in lines[1]
    assert lines[2].startswith("new/text.jpg: not-an-image. ")
    assert lines[3] == "Wrote explained: an overlay and a map of 2 of 3 files"
    assert "no explanation for 1 of 3 files" in output.err
    assert {file.name for file in (folder / "explained").iterdir()} == {
        f"{pattern}.{suffix}" for pattern in ("bars", "rings") for suffix in ("png", "npy")
    }
    with Image.open("explained/bars.png") as overlay:
        assert overlay.size == (64, 64)


def test_json_names_the_files_and_a_map_sums_up_to_the_logit(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(bundle), "new/rings.png", "--out", "maps", "--json", "--quiet"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    evidence = np.load(record["map"])
    assert evidence.sum(dtype=np.float64) + record["bias"] == pytest.approx(record["logit"], abs=1e-4)
    assert record["method"] == "exact"
    assert Path(record["overlay"]) == Path("maps/rings.png")


def test_where_no_image_can_be_read_the_exit_code_is_1(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(bundle), "new/text.jpg"]) == 1
    assert not (folder / "explained").exists()
    assert main(["explain", str(bundle), "nowhere"]) == 1


def test_a_file_of_the_user_is_not_replaced(folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(bundle), "new/bars.png", "--out", "new"]) == 2
    assert "new/bars.png would replace a file that is no explanation" in capsys.readouterr().err
    assert main(["explain", str(bundle), "https://example.org/a.png"]) == 2
    assert "explain reads local files, not addresses" in capsys.readouterr().err
