import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from twofold.core.errors import UsageError
from twofold.decision import Rule
from twofold.evaluation import Evaluation, evaluate
from twofold.report import FIGURES, check_drawing, write_figures
from twofold.report.evaluation_figures import write_figure


def evaluation(n: int = 200, *, apart: float = 2.0, classes: tuple[str, str] = ("cats", "dogs")) -> Evaluation:
    rng = np.random.default_rng(0)
    labels = (np.arange(n) % 2).astype(np.int8)
    scores = rng.standard_normal(n) + apart * (labels - 0.5)
    return evaluate(labels, 1 / (1 + np.exp(-apart * scores)), Rule.at(0.5), classes=classes)


def text(file: Path) -> str:
    return " ".join("".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("text"))


def test_the_files_are_those_of_the_design(tmp_path: Path) -> None:
    files = write_figures(evaluation(), tmp_path / "new" / "folder")
    assert {file.name for file in files} == {
        "confusion.svg",
        "roc.svg",
        "precision_recall.svg",
        "reliability.svg",
        "scores.svg",
    }
    assert set((tmp_path / "new" / "folder").iterdir()) == set(files)


def test_each_tells_its_number_how_many_pictures_and_which_class(tmp_path: Path) -> None:
    told = evaluation()
    for file in write_figures(told, tmp_path):
        assert "n = 200" in text(file)
        assert "dogs" in text(file)
    assert f"{told.metrics['roc_auc'].value:.4f}" in text(tmp_path / "roc.svg")
    assert str(told.confusion.fn) in text(tmp_path / "confusion.svg")


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    for first, second in zip(
        write_figures(evaluation(), tmp_path / "a"), write_figures(evaluation(), tmp_path / "b"), strict=True
    ):
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("apart", [0.0, 8.0])
def test_useless_and_perfect_models_are_drawn(tmp_path: Path, apart: float) -> None:
    assert len(write_figures(evaluation(apart=apart), tmp_path)) == len(FIGURES)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_single_class_is_drawn_without_what_is_undefined(tmp_path: Path, threshold: float) -> None:
    alone = evaluate(np.ones(3, np.int8), np.array([0.2, 0.6, 1.0]), Rule.at(threshold), classes=("cats", "dogs"))
    write_figures(alone, tmp_path)
    assert "area undefined" in text(tmp_path / "roc.svg")


def test_class_names_in_any_script_and_length_stay_what_they_are(tmp_path: Path) -> None:
    write_figures(evaluation(classes=("猫 $5", "a class with a very long name $6")), tmp_path)
    assert "猫 $5" in text(tmp_path / "confusion.svg")
    assert "a class with a very…" in text(tmp_path / "confusion.svg")


def test_a_figure_can_be_a_picture_too(tmp_path: Path) -> None:
    write_figure("roc", evaluation(), tmp_path / "roc.png")
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_titles_and_files_say_which_pictures_they_tell_of(tmp_path: Path) -> None:
    files = write_figures(evaluation(), tmp_path, title="test", prefix="test_")
    assert {file.name for file in files} == {f"test_{name}.svg" for name in FIGURES}
    for file in files:
        assert "test" in text(file)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="--figures takes a folder for figures"):
        check_drawing("--figures", tmp_path / "a.txt")
    check_drawing("--figures", tmp_path)
    check_drawing("--figures", tmp_path / "new")


def test_a_bundle_takes_no_figures(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").touch()
    with pytest.raises(UsageError, match="is a bundle; name another"):
        check_drawing("--out", tmp_path)


def test_the_state_of_pyplot_is_left_alone() -> None:
    program = """
import sys, tempfile, pathlib, numpy as np
from twofold.decision import Rule
from twofold.evaluation import evaluate
from twofold.report import write_figures
assert "matplotlib" not in sys.modules
write_figures(evaluate(np.array([0, 1], np.int8), np.array([.2, .8]), Rule.at(.5), classes=("a", "b")), pathlib.Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
"""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", program, folder], check=True)
