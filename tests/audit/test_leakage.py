"""Leakage: audit, train and evaluate find the same test images."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scenes import CHANGES, MOVES, scene

from twofold.audit.leakage import Leakage, LeakedImage
from twofold.cli import main
from twofold.duplicates import DuplicateKind

SIZE = (640, 480)
COUNT = 24
VARIANTS = {  # name: (training image, change)
    "half": (0, CHANGES["half"]),
    "quality": (1, CHANGES["quality 30"]),
    "mirrored": (2, CHANGES["mirrored"]),
    "grey": (3, CHANGES["grey"]),
    "dark": (4, CHANGES["darker"]),
    "marked": (5, CHANGES["marked"]),
    "cropped": (6, MOVES["cropped"]),
    "turned": (7, MOVES["turned by 3 degrees"]),
    "corner": (8, lambda image: image.crop((0, 0, image.width * 19 // 20, image.height * 19 // 20))),
    "again": (8, CHANGES["half"]),  # a second variant of one training image
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@cache
def draw_image(number: int) -> Image.Image:
    """A scene, darker in the class `dim`, which separates the classes."""
    image = scene(number, SIZE)
    return image.point(lambda value: value // 2) if number % 2 else image


def label(number: int) -> str:
    return ("bright", "dim")[number % 2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For reading only."""
    folder = tmp_path_factory.mktemp("trained")
    for name in ("bright", "dim"):
        (folder / name).mkdir()
    for number in range(COUNT):
        draw_image(number).save(folder / label(number) / f"{number}.jpg", quality=92)
    for name in ("bright", "dim"):  # under both labels, so it is not used
        draw_image(40).save(folder / name / "both.png")
    return folder


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """For reading only."""
    folder = tmp_path_factory.mktemp("tested")
    for name in ("bright", "dim"):
        (folder / name).mkdir()
    for number in range(100, 112):
        draw_image(number).save(folder / label(number) / f"{number}.jpg")
    for name, (number, change) in VARIANTS.items():
        change(draw_image(number)).save(folder / label(number) / f"{name}.jpg", quality=85)
    shutil.copy(trained / label(9) / "9.jpg", folder / label(9) / "same.jpg")
    shutil.copy(trained / label(9) / "9.jpg", folder / label(9) / "same too.jpg")
    for name in ("bright", "dim"):  # under both labels: it is not evaluated
        shutil.copy(trained / label(10) / "10.jpg", folder / name / "undecided.jpg")
    draw_image(40).resize((320, 240)).save(folder / "bright" / "never used.jpg")
    return folder


LEAKED = {f"{name}.jpg" for name in (*VARIANTS, "same", "same too")}


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json", "--quiet"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def names(leakage: list[dict[str, str]]) -> list[str]:
    return sorted(Path(leak["path"]).name for leak in leakage)


def test_audit_train_and_evaluate_find_the_same_test_images_each_once(
    trained: Path, tested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = sorted(LEAKED)
    for quick in ([], ["--quick"]):
        found = run(["audit", str(trained), "--against", str(tested), *quick], capsys)
        assert names(found["against_other"]) == expected
        assert names(found["against"]) == sorted(f"{number}.jpg" for number in range(10))
        assert names(run(["audit", str(tested), "--against", str(trained), *quick], capsys)["against"]) == expected
    learning = ["--mode", "scratch", "--size", "48", "--epochs", "1", "--batch-size", "16", "--dtype", "f32"]
    for number, options in enumerate(([], ["--positive", "bright"], learning)):
        out = tmp_path / f"{number}.twofold"
        train = run(["train", str(trained), "--test", str(tested), "--out", str(out), *options], capsys)["test"]
        again = run(["evaluate", str(out), str(tested)], capsys)
        assert names(train["leakage"]["images"]) == names(again["leakage"]["images"]) == expected
        for block in ("metrics", "confusion"):
            assert train["leakage"]["test_unseen"][block] == again["leakage"]["test_unseen"][block]
        assert sum(train["leakage"]["test_unseen"]["confusion"].values()) == 13
        assert sum(train["confusion"].values()) == 13 + len(expected)


def test_other_images_of_the_same_sort_are_not_called_duplicates(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(200, 240):
        folder = tmp_path / "others" / label(number)
        folder.mkdir(parents=True, exist_ok=True)
        draw_image(number).save(folder / f"{number}.jpg")
    found = run(["audit", str(trained), "--against", str(tmp_path / "others"), "--quick"], capsys)
    assert found["against"] == found["against_other"] == []


def test_the_card_and_the_figures_are_about_unseen_images(
    trained: Path, tested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, drawn = tmp_path / "b.twofold", tmp_path / "drawn"
    words = ["train", str(trained), "--test", str(tested), "--out", str(out), "--quiet", "--figures", str(drawn)]
    assert main(words) == 0
    output = " ".join(capsys.readouterr().out.split())  # lines are wrapped
    # "quality" was encoded twice, and the file does not say how its details were lost: it is said to show the same object.
    warning = f"WARNING: {len(LEAKED) - 1} test images duplicate training images ("
    assert output.startswith(warning)
    sentence = 'Scores on them are inflated: use the column "test (unseen)".'
    assert output.index(sentence) < output.index("test (unseen): confusion matrix")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"| test (unseen), 13 images | test (inflated), {13 + len(LEAKED)} images" in card
    unseen = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["test"]["leakage"]["test_unseen"]
    row = next(line for line in card.splitlines() if line.startswith("| accuracy |"))
    assert row.split("|")[3].strip().startswith(f"{unseen['metrics']['accuracy']['value']:.4f} ")
    assert warning.removeprefix("WARNING: ") in card
    assert main(["evaluate", str(out), str(tested), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    for figure in (drawn / "test_confusion.svg", tmp_path / "again" / f"b_on_{tested.name}_confusion.svg"):
        text = figure.read_text(encoding="utf-8")
        assert "test (unseen)" in text
        assert "n = 13" in text


def test_without_unseen_images_the_scores_are_called_inflated(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "b.twofold"
    assert main(["train", str(trained), "--out", str(out), "--test", str(trained), "--quiet"]) == 0
    output = " ".join(capsys.readouterr().out.split())  # lines are wrapped
    assert f"WARNING: {COUNT} test images duplicate training images" in output
    assert "no other test image is left, so test on other images" in output
    assert "test (inflated): confusion matrix" in output
    assert main(["evaluate", str(out), str(trained), "--quiet", "--require", "accuracy>=0"]) == 3
    assert "all test images duplicate training images" in capsys.readouterr().err


def test_a_class_without_unseen_images_leaves_the_other(
    trained: Path, tested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, folder = tmp_path / "b.twofold", tmp_path / "mixed"
    shutil.copytree(trained / "dim", folder / "dim")
    (folder / "bright").mkdir()
    for number in (300, 302):
        draw_image(number).save(folder / "bright" / f"{number}.jpg")
    assert main(["train", str(trained), "--out", str(out), "--quiet"]) == 0
    capsys.readouterr()
    without = run(["evaluate", str(out), str(folder)], capsys)["leakage"]["test_unseen"]
    assert sum(without["confusion"].values()) == 3  # with `both.png`, which was not used


def _leakage(*kinds: DuplicateKind) -> Leakage:
    return Leakage(tuple(LeakedImage(f"{row}.png", f"old{row}.png", kind) for row, kind in enumerate(kinds)), None)


def test_only_files_of_one_exposure_are_said_to_duplicate_training_images() -> None:
    (note,) = _leakage("near", "exact", "same-scene").notes()
    assert note.text.startswith(
        "2 test images duplicate training images (0.png = old0.png), and 1 appears to show the same object as a training image. "
        "Scores on them are inflated: "
    )
    (note,) = _leakage("same-scene", "same-scene").notes()
    assert note.text.startswith("2 test images appear to show the same object as a training image (0.png: old0.png).")
    assert "duplicate" not in note.text
    (note,) = _leakage("same-scene").notes()
    assert note.text.startswith("1 test image appears to show the same object as a training image")
    assert _leakage().notes() == []
