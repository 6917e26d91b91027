from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from twofold.decision import Rule
from twofold.evaluation import Evaluation, evaluate
from twofold.report import FIGURES
from twofold.report.comparison_figures import ModelPair, write_comparison_figures
from twofold.report.evaluation_files import figure_prefix
from twofold.report.layout import interval_text

pytestmark = pytest.mark.slow  # matplotlib


def evaluation(apart: float, n: int = 200) -> Evaluation:
    labels = (np.arange(n) % 2).astype(np.int8)
    scores = np.random.default_rng(0).standard_normal(n) + apart * (labels - 0.5)
    return evaluate(labels, 1 / (1 + np.exp(-apart * scores)), Rule.at(0.5), classes=("cats", "dogs"))


def text(file: Path) -> str:
    return " ".join("".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("text"))


def test_both_models_are_in_one_figure_with_their_metrics(tmp_path: Path) -> None:
    first, second = evaluation(1.0), evaluation(3.0)
    files = write_comparison_figures(ModelPair((first, second), ("old", "new")), tmp_path, title="t", prefix="p_")
    assert {file.name for file in files} == {f"p_{name}{suffix}" for name in FIGURES for suffix in (".svg", ".png")}
    for name, metric in (("roc", "roc_auc"), ("precision_recall", "average_precision"), ("reliability", "ece")):
        words = text(tmp_path / f"p_{name}.svg")
        for model, shown in (("old", first), ("new", second)):
            assert f"{model}: " in words
            assert interval_text(shown.metrics[metric]) in words
    for name in ("net_benefit", "cost_curve", "confusion", "scores"):
        words = text(tmp_path / f"p_{name}.svg").split()
        assert {"old", "new", "t"} <= set(words)
    for shown in (first, second):
        assert str(shown.confusion.tp) in text(tmp_path / "p_confusion.svg")


def test_models_of_one_name_and_test_sets_of_one_class_are_drawn(tmp_path: Path) -> None:
    one_class = evaluate(np.ones(3, np.int8), np.array([0.2, 0.6, 1.0]), Rule.at(0.5), classes=("cats", "dogs"))
    write_comparison_figures(ModelPair((one_class, one_class), ("same", "same")), tmp_path)
    words = text(tmp_path / "roc.svg")
    assert "first: same: ROC AUC undefined" in words
    assert "second: same: ROC AUC undefined" in words


def test_figures_are_named_after_any_bundle_and_data() -> None:
    assert figure_prefix(["."], "..") == "data_on_data_"
    assert figure_prefix(["a/b c$.twofold"], "https://x.org/d/é?token=9") == "b-c_on_é_"
    assert figure_prefix(["a" * 300], "d\udcff/") == f"{'a' * 40}_on_d_"
