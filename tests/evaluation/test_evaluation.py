import json

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.evaluation import METRICS, Confusion, Evaluation, Hesitant, evaluate

CLASSES = ("cats", "dogs")


def draw(n: int = 300, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.5, 0.5, n)
    return (rng.random(n) < probabilities).astype(np.int8), probabilities


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(*draw(), 0.5, classes=CLASSES)


def test_the_json_has_the_blocks_of_the_design(evaluation: Evaluation) -> None:
    plain = evaluation.as_json()
    assert list(plain) == ["threshold", "confusion", "metrics", "per_class", "hesitant", "best_threshold"]
    assert list(plain["confusion"]) == ["tn", "fp", "fn", "tp"]
    assert tuple(plain["metrics"]) == METRICS
    assert all(list(told) == ["value", "low", "high"] for told in plain["metrics"].values())
    assert list(plain["per_class"]) == ["cats", "dogs"]
    assert list(plain["per_class"]["dogs"]) == ["precision", "recall", "f1", "support"]
    assert list(plain["hesitant"]) == ["within", "images", "errors"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_every_value_lies_within_its_interval(evaluation: Evaluation) -> None:
    for told in evaluation.metrics.values():
        assert told.low <= told.value <= told.high


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
    mirrored = evaluate(1 - labels, 1 - probabilities, 0.5, classes=("dogs", "cats"))
    c = evaluation.confusion
    assert mirrored.confusion == Confusion(tn=c.tp, fp=c.fn, fn=c.fp, tp=c.tn)
    assert mirrored.metrics["recall"] == evaluation.metrics["specificity"]
    assert mirrored.per_class["cats"].precision == evaluation.per_class["cats"].precision
    for name in ("accuracy", "balanced_accuracy", "mcc", "roc_auc", "log_loss", "brier", "ece"):
        assert mirrored.metrics[name].value == pytest.approx(evaluation.metrics[name].value)


def test_the_order_of_the_pictures_changes_nothing(evaluation: Evaluation) -> None:
    labels, probabilities = draw()
    order = np.random.default_rng(1).permutation(300)
    again = evaluate(labels[order], probabilities[order], 0.5, classes=CLASSES).as_json()
    assert json.dumps(again) == json.dumps(again)
    for name, told in evaluation.as_json()["metrics"].items():
        assert again["metrics"][name] == pytest.approx(told)
    assert again["confusion"] == evaluation.as_json()["confusion"]


def test_the_data_twice_has_the_same_values_and_narrower_intervals(evaluation: Evaluation) -> None:
    labels, probabilities = draw()
    twice = evaluate(np.tile(labels, 2), np.tile(probabilities, 2), 0.5, classes=CLASSES)
    for name, told in evaluation.metrics.items():
        again = twice.metrics[name]
        assert again.value == pytest.approx(told.value)
        if name != "ece":  # which depends on how much of it is noise
            assert (again.high - again.low) / (told.high - told.low) == pytest.approx(0.5**0.5, abs=0.05)


def test_the_same_seed_gives_the_same_numbers(evaluation: Evaluation) -> None:
    assert evaluate(*draw(), 0.5, classes=CLASSES).as_json() == evaluation.as_json()


def test_hesitant_answers_are_those_near_the_threshold() -> None:
    labels = np.array([1, 0, 0, 1, 1], np.int8)
    probabilities = np.array([0.485, 0.515, 0.4, 0.6, 0.5])
    assert evaluate(labels, probabilities, 0.5, classes=CLASSES).hesitant == Hesitant(0.02, images=3, errors=2)


def test_one_class_alone_is_evaluated_as_far_as_it_goes() -> None:
    plain = evaluate(np.zeros(3, np.int8), np.array([0.1, 0.2, 0.7]), 0.5, classes=CLASSES).as_json()
    assert plain["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert plain["metrics"]["recall"] == {"value": None, "low": None, "high": None}
    assert plain["metrics"]["roc_auc"]["value"] is None
    assert plain["per_class"]["dogs"] == {"precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
