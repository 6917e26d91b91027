import json

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import Rule
from twofold.decision.confusion import ConfusionMatrix
from twofold.decision.rule import NEVER
from twofold.evaluation import (
    METRICS,
    PER_CLASS_METRICS,
    Borderline,
    Evaluation,
    compare,
    evaluate,
    with_positive,
)
from twofold.evaluation.intervals import wilson

CLASSES = ("cats", "dogs")


def draw(n: int = 300, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.5, 0.5, n)
    return (rng.random(n) < probabilities).astype(np.int8), probabilities


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(*draw(), Rule.at(0.5), classes=CLASSES)


def test_the_json_has_the_blocks_of_the_design(evaluation: Evaluation) -> None:
    plain = evaluation.as_json()
    assert list(plain) == [
        *("images", "groups", "variance_factors", "threshold", "operating_table", "restated"),
        *("decided", "cost", "promises"),
        *("confusion", "metrics", "per_class", "borderline", "best_threshold", "slices"),
    ]
    assert list(plain["confusion"]) == ["tn", "fp", "fn", "tp"]
    assert tuple(plain["metrics"]) == METRICS
    assert all(list(interval) == ["value", "low", "high"] for interval in plain["metrics"].values())
    assert list(plain["per_class"]) == ["cats", "dogs"]
    assert list(plain["per_class"]["dogs"]) == ["precision", "recall", "f1", "support", "intervals"]
    assert plain["per_class"]["dogs"]["intervals"]["recall"] == plain["metrics"]["recall"]
    assert list(plain["borderline"]) == ["distance", "images", "errors"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_every_value_lies_within_its_interval(evaluation: Evaluation) -> None:
    for interval in evaluation.metrics.values():
        assert interval.low <= interval.value <= interval.high


def test_each_class_is_reported_as_the_positive_one(evaluation: Evaluation) -> None:
    from sklearn.metrics import classification_report

    labels, probabilities = draw()
    expected = classification_report(labels, probabilities >= 0.5, target_names=CLASSES, output_dict=True)
    plain = evaluation.as_json()["per_class"]
    for name in CLASSES:
        for rate in ("precision", "recall"):
            assert plain[name][rate] == pytest.approx(expected[name][rate])
        assert plain[name]["f1"] == pytest.approx(expected[name]["f1-score"])
        assert plain[name]["support"] == expected[name]["support"]


def test_swapped_classes_mirror_the_evaluation(evaluation: Evaluation) -> None:
    labels, probabilities = draw()
    mirrored = evaluate(1 - labels, 1 - probabilities, Rule.at(0.5), classes=("dogs", "cats"))
    c = evaluation.confusion
    assert mirrored.confusion == ConfusionMatrix(tn=c.tp, fp=c.fn, fn=c.fp, tp=c.tn)
    assert mirrored.metrics["recall"] == evaluation.metrics["specificity"]
    assert mirrored.per_class["cats"].precision == evaluation.per_class["cats"].precision
    for name in ("accuracy", "balanced_accuracy", "mcc", "roc_auc", "log_loss", "brier", "ece"):
        assert mirrored.metrics[name].value == pytest.approx(evaluation.metrics[name].value)


def test_the_order_of_the_images_changes_nothing(evaluation: Evaluation) -> None:
    labels, probabilities = draw()
    order = np.random.default_rng(1).permutation(300)
    again = evaluate(labels[order], probabilities[order], Rule.at(0.5), classes=CLASSES).as_json()
    assert json.dumps(again) == json.dumps(again)
    for name, interval in evaluation.as_json()["metrics"].items():
        assert again["metrics"][name] == pytest.approx(interval)
    assert again["confusion"] == evaluation.as_json()["confusion"]


def test_the_data_twice_has_the_same_values_and_narrower_intervals(evaluation: Evaluation) -> None:
    labels, probabilities = draw()
    twice = evaluate(np.tile(labels, 2), np.tile(probabilities, 2), Rule.at(0.5), classes=CLASSES)
    for name, interval in evaluation.metrics.items():
        again = twice.metrics[name]
        assert again.value == pytest.approx(interval.value, abs=0.05 if name == "ece" else None)  # has no bias by noise
        if name != "ece":  # which depends on how much of it is noise
            assert (again.high - again.low) / (interval.high - interval.low) == pytest.approx(0.5**0.5, abs=0.05)


def test_the_same_seed_gives_the_same_numbers(evaluation: Evaluation) -> None:
    assert evaluate(*draw(), Rule.at(0.5), classes=CLASSES).as_json() == evaluation.as_json()


def test_borderline_decisions_are_those_near_the_threshold() -> None:
    labels = np.array([1, 0, 0, 1, 1], np.int8)
    probabilities = np.array([0.485, 0.515, 0.4, 0.6, 0.5])
    assert evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES).borderline == Borderline(
        0.02, images=3, errors=2
    )


@pytest.mark.parametrize("label", [0, 1])
def test_for_one_class_only_accuracy_and_its_recall_are_defined(label: int) -> None:
    chances = np.array([0.1, 0.2, 0.7, 0.6, 0.9])
    evaluation = evaluate(np.full(5, label, np.int8), chances, Rule.at(0.5), classes=CLASSES)
    fraction, plain = (3 / 5 if label else 2 / 5), evaluation.as_json()
    defined = {name for name, interval in plain["metrics"].items() if interval["value"] is not None}
    assert defined == {"accuracy", "recall" if label else "specificity"}
    assert plain["metrics"]["accuracy"]["value"] == pytest.approx(fraction)
    assert plain["per_class"][CLASSES[label]]["recall"] == pytest.approx(fraction)
    assert plain["per_class"][CLASSES[label]]["precision"] is None
    assert plain["per_class"][CLASSES[1 - label]]["recall"] is None
    assert plain["best_threshold"] is None
    assert evaluation.missing == [CLASSES[1 - label]]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_two_models_on_one_class_differ_in_accuracy_alone() -> None:
    labels, chances = np.ones(4, np.int8), np.array([0.1, 0.6, 0.7, 0.9])
    differences = compare(labels, (chances, Rule.at(0.5)), (1 - chances, Rule.at(0.5))).as_json()["differences"]
    assert differences["accuracy"]["value"] == -0.5
    assert differences["log_loss"]["value"] is differences["roc_auc"]["value"] is None


def test_the_other_class_may_be_the_positive_one(evaluation: Evaluation) -> None:
    swapped = with_positive("cats", evaluation)
    assert swapped.classes == ("dogs", "cats")
    assert with_positive("dogs", evaluation) is evaluation
    assert swapped.metrics["recall"] == evaluation.metrics["specificity"]
    for name in ("accuracy", "roc_auc", "log_loss", "mcc", "brier"):
        assert swapped.metrics[name].value == pytest.approx(evaluation.metrics[name].value)
    for name in PER_CLASS_METRICS:
        assert swapped.metric(name, "cats").value == pytest.approx(evaluation.metric(name, "cats").value)
        assert swapped.metric(name, "dogs").value == pytest.approx(evaluation.metric(name, "dogs").value)


@pytest.mark.parametrize("threshold", [0.0, 5e-324, 1e-17, 0.3, 0.5, 0.7, 1 - 2**-53, 1.0, NEVER])
def test_decisions_stay_as_they_are_whichever_class_is_positive(threshold: float) -> None:
    """Also on the threshold, and where 1 - p is rounded."""
    near = [np.nextafter(threshold, -1), threshold, np.nextafter(threshold, 2), 1e-300, 1e-17, 0.1, 0.3, 0.5, 0.7, 0.9]
    chances = np.clip(np.array(near), 0, 1)
    labels = np.tile(np.array([1, 0], np.int8), 5)
    evaluation = evaluate(labels, chances, Rule.at(threshold), classes=CLASSES)
    swapped = with_positive("cats", evaluation)
    assert ((swapped.rule.decide(swapped.probabilities) == 1) == (chances < threshold)).all()
    assert swapped.confusion == ConfusionMatrix(
        tn=evaluation.confusion.tp, fp=evaluation.confusion.fn, fn=evaluation.confusion.fp, tp=evaluation.confusion.tn
    )
    assert np.abs(swapped.probabilities - (1 - chances)).max() < 1e-15


def test_evaluations_are_equal_where_their_data_is() -> None:
    labels, probabilities = draw(50)
    evaluation = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES)
    assert evaluation == evaluate(labels.copy(), probabilities.copy(), Rule.at(0.5), classes=CLASSES)
    assert evaluation != evaluate(labels, probabilities, Rule.at(0.4), classes=CLASSES)
    assert evaluation != evaluate(1 - labels, probabilities, Rule.at(0.5), classes=CLASSES)
    assert evaluation != evaluate(labels[:-1], probabilities[:-1], Rule.at(0.5), classes=CLASSES)
    assert evaluation != "an evaluation"


def test_a_rule_that_abstains_has_coverage_and_an_error_among_decided_images() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8)
    probabilities = np.array([0.9, 0.6, 0.1, 0.4, 0.1, 0.1, 0.1, 0.95])
    result = evaluate(labels, probabilities, Rule(0.3, 0.8), classes=("cats", "dogs"))
    assert result.decided["coverage"] == wilson(6, 8)
    assert result.decided["error"] == wilson(2, 6)
    assert result.confusion == ConfusionMatrix(tn=4, fp=1, fn=1, tp=2)  # of an answer for every image, at 0.5
    single = evaluate(labels, probabilities, Rule.at(0.5), classes=("cats", "dogs"))
    assert (single.decided["coverage"].value, single.decided["error"].value) == (1, 0.25)


def test_unfamiliar_images_are_undecided_and_the_classic_metrics_answer_them() -> None:
    """Ten images, of which the last three are unfamiliar: one of these and one of the others is wrong at 0.5."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 0, 1, 1], np.int8)
    probabilities = np.array([0.1, 0.1, 0.1, 0.6, 0.9, 0.9, 0.45, 0.1, 0.1, 0.9])
    familiarity = np.array([0.5] * 7 + [0.001] * 3)
    rule = Rule(0.4, 0.5, gate={"level": 0.01})
    result = evaluate(labels, probabilities, rule, classes=CLASSES, familiarity=familiarity)
    assert result.decided == {"coverage": wilson(6, 10), "error": wilson(1, 6)}
    assert result.undecided == {"unsure": wilson(1, 10), "unfamiliar": wilson(3, 10)}
    assert list(result.as_json()["decided"]) == ["coverage", "error", "unsure", "unfamiliar"]
    without = evaluate(labels, probabilities, rule, classes=CLASSES)
    assert result.metrics == without.metrics
    assert list(without.as_json()["decided"]) == ["coverage", "error", "unsure"]
    assert result != without
    assert with_positive("cats", result).decided == result.decided
