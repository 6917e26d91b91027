import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from twofold.core.errors import UsageError
from twofold.decision import Rule
from twofold.evaluation import Evaluation, evaluate
from twofold.evaluation.curves import net_benefit_at
from twofold.report import FIGURES, canvas, check_drawing, write_figures
from twofold.report.layout import interval_text

pytestmark = pytest.mark.slow  # matplotlib


def evaluation(n: int = 200, *, apart: float = 2.0, classes: tuple[str, str] = ("cats", "dogs")) -> Evaluation:
    rng = np.random.default_rng(0)
    labels = (np.arange(n) % 2).astype(np.int8)
    scores = rng.standard_normal(n) + apart * (labels - 0.5)
    return evaluate(labels, 1 / (1 + np.exp(-apart * scores)), Rule.at(0.5), classes=classes)


def text(file: Path) -> str:
    return " ".join("".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("text"))


def test_each_figure_is_written_as_svg_and_png(tmp_path: Path) -> None:
    files = write_figures(evaluation(), tmp_path / "new" / "folder")
    names = ("confusion", "roc", "precision_recall", "reliability", "scores", "net_benefit", "cost_curve")
    assert {file.name for file in files} == {f"{name}{suffix}" for name in names for suffix in (".svg", ".png")}
    assert set((tmp_path / "new" / "folder").iterdir()) == set(files)
    assert (tmp_path / "new" / "folder" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_each_figure_shows_its_metric_the_number_of_images_and_the_class(tmp_path: Path) -> None:
    shown = evaluation()
    write_figures(shown, tmp_path)
    for file in tmp_path.glob("*.svg"):
        assert "n = 200" in text(file)
        assert "dogs" in text(file)
    assert interval_text(shown.metrics["roc_auc"]) in text(tmp_path / "roc.svg")
    assert str(shown.confusion.fn) in text(tmp_path / "confusion.svg")


def test_wrong_predictions_are_counted_by_class(tmp_path: Path) -> None:
    shown = evaluation()
    write_figures(shown, tmp_path)
    words = text(tmp_path / "scores.svg")
    assert f"wrong: {shown.confusion.fn}" in words
    assert f"wrong: {shown.confusion.fp}" in words


def test_net_benefit_and_cost_stand_beside_one_answer_for_all_and_mark_the_threshold_in_use(tmp_path: Path) -> None:
    shown = evaluation()
    write_figures(shown, tmp_path)
    for name in ("net_benefit", "cost_curve"):
        words = text(tmp_path / f"{name}.svg")
        assert "always cats" in words
        assert "always dogs" in words
        assert "threshold in use, 0.5" in words
    assert interval_text(net_benefit_at(shown.sample, 0.5)) in text(tmp_path / "net_benefit.svg")
    assert "threshold probability of dogs" in text(tmp_path / "net_benefit.svg")


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    for first, second in zip(
        write_figures(evaluation(), tmp_path / "a"), write_figures(evaluation(), tmp_path / "b"), strict=True
    ):
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("apart", [0.0, 8.0])
def test_useless_and_perfect_models_are_drawn(tmp_path: Path, apart: float) -> None:
    assert len(write_figures(evaluation(apart=apart), tmp_path)) == 2 * len(FIGURES)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_single_class_is_drawn_without_what_is_undefined(tmp_path: Path, threshold: float) -> None:
    one_class = evaluate(np.ones(3, np.int8), np.array([0.2, 0.6, 1.0]), Rule.at(threshold), classes=("cats", "dogs"))
    write_figures(one_class, tmp_path)
    assert "ROC AUC undefined" in text(tmp_path / "roc.svg")


def test_class_names_in_any_script_are_shown_and_long_ones_are_cut_in_the_middle(tmp_path: Path) -> None:
    write_figures(evaluation(classes=("猫 $5", "a class with a very long name $6")), tmp_path)
    assert "猫 $5" in text(tmp_path / "confusion.svg")
    assert "a class w…ng name $6" in text(tmp_path / "confusion.svg")


def test_titles_and_file_names_say_which_images_were_evaluated(tmp_path: Path) -> None:
    files = write_figures(evaluation(), tmp_path, title="test", prefix="test_")
    assert {file.stem for file in files} == {f"test_{name}" for name in FIGURES}
    for file in tmp_path.glob("*.svg"):
        assert " test " in f" {text(file)} "


def test_a_file_instead_of_the_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="--figures must be a folder for figures"):
        check_drawing("--figures", tmp_path / "a.txt")
    check_drawing("--figures", tmp_path)
    check_drawing("--figures", tmp_path / "new")


def test_a_bundle_is_no_folder_for_figures(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").touch()
    with pytest.raises(UsageError, match="is a bundle; give another"):
        check_drawing("--out", tmp_path)


def test_pyplot_is_not_imported() -> None:
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


def test_the_colours_are_those_of_the_page() -> None:
    theme = (files("twofold.report.page") / "theme.css").read_text(encoding="utf-8").partition("@media")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", theme))
    names = {"ink": canvas.INK, "muted": canvas.MUTED, "line": canvas.LINE, "grid": canvas.GRID, "panel": canvas.PANEL}
    names |= {"accent": canvas.ACCENT, "negative": canvas.NEGATIVE, "positive": canvas.POSITIVE}
    names |= {"warning-soft": canvas.WARNING, "warning-line": canvas.WARNING_LINE}
    assert names == {name: colours[name] for name in names}
    style = (files("twofold.report.page") / "page.css").read_text(encoding="utf-8")
    assert f".chart .band {{ fill: var(--accent); fill-opacity: {canvas.BAND['alpha']}; }}" in style


@pytest.mark.parametrize("name", list(FIGURES))
def test_long_names_are_not_cut_off_and_cover_nothing(name: str) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = evaluation(classes=("a class with a very long name 1", "another class whose name is long"))
    shown = replace(shown, groups=np.arange(200) // 2)
    with rc_context(canvas.STYLE):
        figure = Figure(figsize=(4.4, 4.5), layout="constrained")
        FIGURES[name](figure, shown)
        figure.draw_without_rendering()
    boxes = {entry: entry.get_window_extent() for axes in figure.axes for entry in _labels(axes)}
    width, height = figure.bbox.width, figure.bbox.height
    for box in boxes.values():
        assert -1 <= box.x0 < box.x1 <= width + 1
        assert -1 <= box.y0 < box.y1 <= height + 1
    for first, second in combinations(boxes.values(), 2):
        assert not first.padded(-1).overlaps(second.padded(-1))


def _labels(axes: Any) -> list[Any]:
    """The texts around the axes."""
    lines = [text for text in axes.texts if text.get_position()[0] == 0]
    texts = [axes.xaxis.label, axes.yaxis.label, axes._left_title, *lines]
    return [text for text in texts if text.get_text()]
