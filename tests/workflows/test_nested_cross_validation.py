import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.dataset import folds
from twofold.decision import Rule, fit_calibration, fit_head
from twofold.evaluation import Evaluation, evaluate
from twofold.workflows.fit import OutOfFoldScores, evaluate_scores
from twofold.workflows.nested_cross_validation import MAX_IMAGES, cross_validate_nested

CLASSES, RULE = ("cats", "dogs"), Rule.at(0.5)


def draw(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    labels = (np.arange(n) % 2).astype(np.int8)
    features = rng.standard_normal((n, 20))
    features[:, 0] += 2.5 * labels
    return features.astype(np.float32), labels


def fitted(
    features: NDArray[np.float32], labels: NDArray[np.int8], test: tuple[NDArray[np.float32], NDArray[np.int8]]
) -> tuple[Evaluation, Evaluation, Evaluation]:
    """The out-of-fold evaluation with nested cross-validation, the same without, and that of the model on a test set."""
    groups = np.arange(len(labels))
    fold = folds(labels, groups, 5, 0)
    fit = fit_head(features, labels, fold)
    nested = cross_validate_nested(features, labels, groups, fit.C, 0)
    scores = OutOfFoldScores(groups, fold, fit.logits)
    evaluations = [
        evaluate_scores(scores, labels, groups, RULE, CLASSES, seed=0, nested=item) for item in (nested, None)
    ]
    calibration = fit_calibration(fit.logits, labels)
    truth = evaluate(test[1], calibration.probabilities(fit.head.logits(test[0])), RULE, classes=CLASSES)
    return evaluations[0], evaluations[1], truth


@pytest.mark.slow
def test_intervals_hold_the_value_of_the_model_that_is_fitted_on_all_images() -> None:
    """60 sets of 50 images; the standard error of a coverage of 0.95 is 0.028. Fixed scores have 0.8 for the log-loss."""
    rng = np.random.default_rng(0)
    test, names = draw(5_000, rng), ("accuracy", "roc_auc", "log_loss", "brier")
    held, held_by_fixed = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for _ in range(60):
        nested, fixed, truth = fitted(*draw(50, rng), test)
        for name in names:
            value = truth.metrics[name].value
            held[name] += nested.metrics[name].low <= value <= nested.metrics[name].high
            held_by_fixed[name] += fixed.metrics[name].low <= value <= fixed.metrics[name].high
    assert min(held.values()) >= 0.88 * 60, held
    assert held_by_fixed["log_loss"] < held["log_loss"]


def test_factors_widen_the_intervals_and_keep_the_values() -> None:
    rng = np.random.default_rng(1)
    nested, fixed, _ = fitted(*draw(80, rng), draw(10, rng))
    assert nested.factors is not None
    assert min(nested.factors.decisions, nested.factors.ranks, nested.factors.probabilities) >= 1
    assert fixed.as_json()["variance_factors"] is None
    for name, interval in nested.metrics.items():
        assert interval.value == fixed.metrics[name].value
        assert (
            interval.high - interval.low >= fixed.metrics[name].high - fixed.metrics[name].low - 1e-9 or name == "ece"
        )


def test_too_few_groups_have_no_nested_cross_validation() -> None:
    features, labels = draw(40, np.random.default_rng(2))
    assert cross_validate_nested(features, labels, labels.astype(np.int64), 0.1, 0) is None


def test_of_many_images_a_subset_is_cross_validated() -> None:
    features, labels = draw(MAX_IMAGES + 50, np.random.default_rng(3))
    nested = cross_validate_nested(features, labels, np.arange(len(labels)), 0.1, 0)
    assert nested is not None
    assert len(nested.labels) == MAX_IMAGES
