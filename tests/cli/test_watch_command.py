"""twofold watch: what is printed and written, and the exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from drawings import draw
from PIL import ImageEnhance

from twofold.bundle.format import checksum
from twofold.cli import main


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled networks of all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    for name, light in (("new", 1.0), ("dark", 0.33)):
        (tmp_path / name).mkdir()
        for number in range(32):
            image = draw(("bars", "rings")[number % 2], 800 + number)
            ImageEnhance.Brightness(image).enhance(light).save(tmp_path / name / f"{number:02}.png")
    return tmp_path


def test_a_quiet_watch_exits_with_0_and_an_alarm_with_3_from_then_on(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(bundle), "new", "--state", "state.json"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("drawn.twofold: 32 new images, 32 since the beginning")
    assert "No alarm" in first
    assert "accuracy of 32 decisions on these, without labels: " in first
    assert main(["watch", str(bundle), "dark", "--state", "state.json"]) == 3
    assert "ALARM: brightness, at image " in capsys.readouterr().out
    assert main(["watch", str(bundle), "new", "--state", "state.json"]) == 3
    again = " ".join(capsys.readouterr().out.split())
    assert "0 new images, 64 since the beginning; 32 repeated images not counted" in again


def test_json(folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "new" / "text.jpg").write_bytes(b"no image")
    assert main(["watch", str(bundle), "new", "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == {
        "new": 32,
        "counted": 32,
        "repeated": 0,
        "training_images": 0,
        "read_errors": {"not-an-image": 1},
    }
    assert not result["alarm"]
    assert result["monitors"]["familiarity"]["limit"] == pytest.approx(285.714, abs=0.001)
    assert result["accuracy"]["low"] <= result["accuracy"]["value"] <= result["accuracy"]["high"]
    assert sorted(path.name for path in folder.iterdir()) == ["dark", "new"]  # without a state nothing is written


def test_faults_are_sentences_and_the_state_stays(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("state.json").write_text("{}", encoding="utf-8")
    assert main(["watch", str(bundle), "new", "--state", "state.json"]) == 1
    assert "state.json is damaged" in capsys.readouterr().err
    assert Path("state.json").read_text(encoding="utf-8") == "{}"
    Path("state.json").unlink()
    assert main(["watch", str(bundle), "new", "--state", "state.json"]) == 0
    state = json.loads(Path("state.json").read_text(encoding="utf-8"))
    state["bundle"] = 64 * "0"
    Path("state.json").write_text(json.dumps({**state, "sha256": checksum(state)}), encoding="utf-8")
    before = Path("state.json").read_bytes()
    assert main(["watch", str(bundle), "new", "--state", "state.json"]) == 2
    assert "state of another bundle" in capsys.readouterr().err
    assert Path("state.json").read_bytes() == before
    (folder / "empty").mkdir()
    assert main(["watch", str(bundle), "empty"]) == 1
    assert "There is no file in empty" in capsys.readouterr().err
    assert main(["watch", str(bundle), "mew", "--state", "new.json"]) == 1
    assert "Nothing in mew is an image that can be read (1 missing): nothing was watched." in capsys.readouterr().err
    assert not Path("new.json").exists()
    assert main(["watch", str(bundle), "new", "--state", "none/state.json"]) == 2
    assert main(["watch", str(bundle), "https://example.org/a.jpg"]) == 2
    assert main(["watch", str(bundle), "new", "--every", "0"]) == 2
    assert "--every must be at least 1, got 0." in capsys.readouterr().err


def test_each_nth_image_counts_alone(folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(bundle), "new", "--every", "5"]) == 0
    assert "7 new images, 7 since the beginning" in capsys.readouterr().out


def test_another_rule_and_the_slim_form_continue_the_life(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(bundle, folder / "other.twofold"))
    assert main(["watch", str(other), "new", "--state", "state.json"]) == 0
    assert main(["decide", str(other), "--threshold", "0.6", "--write"]) == 0
    assert main(["export", str(other), "--to", "bundle", "--out", "slim.twofold"]) == 0
    capsys.readouterr()
    for name in ("other.twofold", "slim.twofold"):
        assert main(["watch", name, "new", "--state", "state.json"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "0 new images, 32 since the beginning; 32 repeated images not counted" in text
    assert "cannot tell: that takes the whole bundle" in text


def test_the_slim_form_raises_the_alarms_of_the_whole_bundle(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(bundle), "--to", "bundle", "--out", "slim.twofold"]) == 0
    capsys.readouterr()
    monitors = []
    for name in (str(bundle), "slim.twofold"):
        assert main(["watch", name, "dark", "--json", "--quiet"]) == 3
        monitors.append(json.loads(capsys.readouterr().out)["monitors"])
    assert monitors[0] == monitors[1]
