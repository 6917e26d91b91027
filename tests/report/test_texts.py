"""Results as text: at most 80 columns, first the decisions."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from twofold.audit.learning_curve import LearningCurve, Point
from twofold.audit.shortcuts import Shortcut, Shortcuts
from twofold.bundle.model import Prediction
from twofold.decision import Rule
from twofold.decision.rule import PolicyRecord
from twofold.evaluation import Evaluation, Interval, evaluate
from twofold.evaluation.promise_checks import PromiseCheck, Verdict
from twofold.evaluation.sample import Sample
from twofold.evaluation.slices import Slices, find_slices
from twofold.report.audit_text import learning_curve_lines
from twofold.report.evaluation_text import decision_lines, detail_lines, metric_lines
from twofold.report.policy_text import outcome_lines
from twofold.report.predictions_text import write_predictions
from twofold.report.shortcuts_text import shortcut_lines
from twofold.report.slices_text import slice_lines


def evaluation(
    *, threshold: float = 0.5, positives: int = 60, classes: tuple[str, str] = ("free", "defect")
) -> Evaluation:
    rng = np.random.default_rng(0)
    labels = (np.arange(200) < positives).astype(np.int8)
    scores = 2 * rng.standard_normal(200) + 3 * (labels - 0.5)
    return evaluate(labels, 1 / (1 + np.exp(-scores)), Rule.at(threshold), classes=classes)


def test_predictions_go_to_the_given_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    predictions = [
        Prediction("a.png", "cats", 0.25, 0.5, -1.5, None),
        Prediction("b.png", None, None, None, None, "truncated"),
        Prediction("c.png", None, 0.25, 0.001, -1.5, "unfamiliar"),
    ]
    rows, records = io.StringIO(), io.StringIO()
    assert write_predictions(predictions, rows, None, as_json=False) == 3
    assert rows.getvalue() == (
        "path,label,probability,familiarity,logit,reason\na.png,cats,0.25,0.5,-1.5,\nb.png,,,,,truncated\n"
        "c.png,,0.25,0.001,-1.5,unfamiliar\n"
    )
    assert write_predictions(predictions, records, None, as_json=True) == 3
    assert [record["path"] for record in json.loads(records.getvalue())] == ["a.png", "b.png", "c.png"]
    assert capsys.readouterr().out == ""


LONG = ("images_of_solar_cells_without_a_defect", "images_of_solar_cells_with_a_defect")


@pytest.mark.parametrize("classes", [("free", "defect"), LONG])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_tables_fit_80_columns(count: int, classes: tuple[str, str]) -> None:
    columns = dict.fromkeys(
        ["test (unseen)", "test (inflated)", "validation", "train"][:count], evaluation(classes=classes)
    )
    lines = metric_lines(columns)
    for name, each in columns.items():
        lines += [*decision_lines(name, each)[:-1], *detail_lines(name, each)[:4]]
    assert max(map(len, lines)) <= 80
    for name in columns:
        assert any(name in line for line in lines)


def test_classes_with_long_names_that_begin_alike_stay_apart() -> None:
    header = decision_lines("test", evaluation(classes=LONG))[2]
    assert len(set(header.split()[:2])) == 2


def test_recall_accuracy_and_the_majority_baseline_stand_at_the_confusion_matrix() -> None:
    shown = evaluation()
    lines = decision_lines("test", shown)
    assert lines[1] == "test: confusion matrix (rows: true class, columns: predicted)"
    assert f"{shown.per_class['defect'].recall.value:.4f} [" in lines[4]
    assert f"{shown.metrics['accuracy'].value:.4f} [" in lines[5]
    assert lines[6] == "always free: accuracy 0.7000"


def test_the_best_threshold_names_the_metric_of_another_policy() -> None:
    shown = evaluation(threshold=0.9)
    assert "optimizes" not in detail_lines("test", shown)[-1]
    text = detail_lines("test", replace(shown, rule=replace(shown.rule, policy=PolicyRecord("f1"))))[-1]
    assert text.startswith("Best threshold on this data: ")
    assert "accuracy +" in text
    assert text.endswith(" The threshold in use optimizes F1, not accuracy.")


def sliced(dark: float) -> Slices:
    """Slices of 300 images by brightness: this fraction of the dark third is wrong, 2% of the others."""
    labels = (np.arange(300) % 2).astype(np.int8)
    wrong = np.concatenate([np.arange(100) < 100 * dark, np.arange(200) < 4])
    decisions = np.where(wrong, 1 - labels, labels).astype(np.int8)
    sample = Sample(labels, decisions, decisions * 0.8 + 0.1, decisions * 0.8 + 0.1, None)
    found = find_slices(sample, {"brightness": np.arange(300.0), "pixels": np.repeat([1e6, 2e6], 150)})
    assert found is not None
    return found


def test_the_worst_slice_is_named_with_its_values_and_its_images() -> None:
    lines = slice_lines(sliced(0.4))
    assert lines[1] == "slices: least accurate of 5 where brightness is 0 to 99 (100 images)"
    assert lines[2].startswith("accuracy                  0.6000 [")
    assert lines[3].startswith("minus that of all others  -0.3800 [")
    assert lines[4:] == ["for all slices together, by brightness, pixels"]
    assert max(map(len, lines)) <= 80


def test_slices_that_differ_by_chance_are_one_sentence_and_no_slices_are_none() -> None:
    assert slice_lines(sliced(0.02))[1:] == [
        "slices: none of 5 is less accurate than the other images by more than chance",
        "(brightness, pixels).",
    ]
    assert slice_lines(None) == []


def test_the_cost_stands_beside_one_answer_for_all() -> None:
    shown = evaluation()
    assert outcome_lines(shown) == []
    policy = PolicyRecord("cost", {"fp": 1.0, "fn": 10.0, "unsure": None})
    costly = evaluate(shown.labels, shown.probabilities, replace(shown.rule, policy=policy), classes=("free", "defect"))
    (_, line) = outcome_lines(costly)
    assert line.startswith("Cost per 1,000 images: ")
    assert line.endswith("] (always free 3000.0, always defect 700.0).")


@pytest.mark.parametrize(
    ("failures", "verdict", "p_value", "text"),
    [
        (2, "kept", 0.9, "kept; 2 of"),
        (6, "not significant", 0.38, "not significantly below (p = 0.38); 6 of"),
        (12, "broken", 0.0043, "broken here (significantly, p = 0.0043); 12 of"),
    ],
)
def test_a_promise_is_kept_or_broken_here(failures: int, verdict: Verdict, p_value: float, text: str) -> None:
    check = PromiseCheck("recall>=0.95", "defect", 100, failures, 1 - failures / 100, 0.95, p_value, verdict)
    (*_, line) = outcome_lines(replace(evaluation(), promises=(check,)))
    assert line == f"  recall>=0.95 (defect is positive): {1 - failures / 100:.4f}, {text} 100 positives missed"


def curve(error: Interval | None, log_loss: Interval | None) -> LearningCurve:
    points = (Point(50, 0.5, 0.2), Point(100, 0.4, 0.15), Point(200, 0.3, 0.1))
    return LearningCurve({"free": 140, "defect": 60}, Interval(0.9, 0.85, 0.94), points, log_loss, error)


def test_the_learning_curve_begins_with_yes_or_no() -> None:
    same, better = Interval(0.3, 0.25, 0.35), Interval(0.2, 0.15, 0.25)
    fewer = Interval(0.07, 0.05, 0.09)
    assert learning_curve_lines(curve(fewer, better))[0] == (
        "more images? yes: twice as many would add about +3.0 points of accuracy [+1.0, +5.0]"
    )
    assert learning_curve_lines(curve(fewer, better))[1] == (
        "accuracy on 140 free and 60 defect: 0.9000 [0.8500, 0.9400]; a test set of 50 would give [0.7864, 0.9565]"
    )
    assert learning_curve_lines(curve(Interval(0.1, 0.08, 0.12), better))[0].startswith(
        "more images? yes, for better prob"
    )
    assert learning_curve_lines(curve(Interval(0.1, 0.08, 0.12), same))[0].startswith("more images? not certain")
    assert learning_curve_lines(curve(None, None))[0].startswith("more images? unknown")


def test_the_advice_on_a_shortcut_is_of_its_kind() -> None:
    patterns = {"free": {"img_#.jpg": 1.0}, "defect": {"dsc_#.jpg": 1.0}}
    light = {"free": [100.0] * 21, "defect": [40.0] * 21}
    name = Shortcut("name pattern", Interval(1.0, 0.98, 1.0), {}, patterns)
    brightness = Shortcut("brightness", Interval(1.0, 0.98, 1.0), light, {})
    lines = shortcut_lines(Shortcuts(Interval(0.5, 0.45, 0.55), (name,)))
    assert lines[1].startswith("shortcuts: all metadata features together, without file names, reach an AUC of 0.50 ")
    assert lines[-1].startswith("A model does not read file names")
    lines = shortcut_lines(Shortcuts(Interval(1.0, 0.98, 1.0), (name, brightness)))
    assert lines[-2].startswith("Classes may differ in brightness, border or shape for a good reason.")
    assert not any("take both classes from one source" in line for line in lines)


def test_shortcuts_are_one_line_and_a_table() -> None:
    size = {"free": [1000.0 * step for step in range(21)], "defect": [82290.0] * 21}
    kinds = {"free": {"jpeg": 0.98, "png": 0.02}, "defect": {"png": 1.0}}
    shortcuts = Shortcuts(
        Interval(0.99, 0.98, 1.0),
        (
            Shortcut("file size in bytes", Interval(0.97, 0.95, 0.99), size, {}),
            Shortcut("format", Interval(0.95, 0.93, 0.97), {}, kinds),
        ),
    )
    lines = shortcut_lines(shortcuts, Interval(0.94, 0.9, 0.97))
    assert lines[1] == (
        "shortcuts: all metadata features together, without file names, reach an AUC of 0.99 [0.98, 1.00]; the model has 0.94."
    )
    assert lines[3] == "file size in bytes  0.97 [0.95, 0.99]  10k (2k–18k)      82.3k (82.3k–82.3k)"
    assert "jpeg 98%, png 2%" in lines[4]
    assert max(map(len, lines[2:-1])) <= 80
    assert lines[-1].endswith("take both classes from one source.")
    assert shortcut_lines(Shortcuts(Interval(0.5, 0.4, 0.55), ())) == []
