"""Factors on the variance of out-of-fold metrics, from nested cross-validation.

An out-of-fold score is an estimate for the model that is fitted on all images. It misses that model's value by more than the
images' own variance tells: the folds share training images, the models of the folds differ from the model of all images, and
calibration varies, too. Bates, Hastie and Tibshirani 2023, "Cross-validation: what does it estimate and how well does it do it?",
measure how far: cross-validate within all folds but one, fit on them, and compare with the fold left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.calibration import fit_calibration
from twofold.decision.cross_fitting import NestedScores, cross_fit_probabilities
from twofold.evaluation.groups import Groups
from twofold.evaluation.intervals import standard_error
from twofold.evaluation.metrics import log_losses, placements
from twofold.evaluation.sample import Sample, VarianceFactors

Estimate = tuple[float, float]
"""A value and its variance for independent images."""


def estimates(
    labels: Labels, probabilities: Probabilities, ranks: Probabilities, threshold: float
) -> dict[str, Estimate]:
    """Accuracy, recall of either class, area under the ROC curve and log-loss; `ranks` (n,) order the images for the area."""
    correct = ((probabilities >= threshold) == (labels == 1)).astype(np.float64)
    losses = log_losses(labels, probabilities)
    above, below = placements(labels, ranks)
    return {
        "accuracy": _mean(correct),
        "recall": _mean(correct[labels == 1]),
        "specificity": _mean(correct[labels != 1]),
        "roc_auc": (float(above.mean()), _mean(above)[1] + _mean(below)[1]),
        "log_loss": (float(losses.mean()), standard_error(losses, labels) ** 2),
    }


def _mean(values: NDArray[np.float64]) -> Estimate:
    return float(values.mean()), float(values.var()) / len(values)


@dataclass(frozen=True, slots=True, eq=False)
class NestedCrossValidation:
    """The labels (n,) and groups (n,) of images, and their scores in each shuffle."""

    labels: Labels = field(repr=False)
    groups: Groups = field(repr=False)
    scores: Sequence[NestedScores] = field(repr=False)


def variance_factors(nested: NestedCrossValidation, threshold: float) -> VarianceFactors:
    """The factors on the variances of the metrics of a cross-validation, for decisions at this threshold.

    For each fold left out, D is the difference between the cross-validation within the inner folds and the value on the fold. D²
    is the squared error that is looked for, plus the variance of the value on the fold: that is estimated from the fold, and from
    the variance within the inner folds, which is that of K - 1 times as many images; the smaller one is taken off. The means
    over folds and shuffles are divided by the mean variance within the inner folds. Variances are raised by the design effects of
    groups.

    Each factor is noisy, those of rates and of the area most where errors are few. So the mean of 1 and of the largest one is the
    lower bound of all. The factor of the log-loss, the most exact, bounds that of the area, and decisions bound probabilities.
    """
    rows = [row for scores in nested.scores for row in _differences(nested.labels, scores, threshold)]
    effects = _design_effects(nested, threshold)
    factors = {name: _factor([row[name] for row in rows], effect) for name, effect in effects.items()}
    least = (1 + max(factors.values())) / 2
    decisions = max(factors["accuracy"], factors["recall"], factors["specificity"], least)
    ranks = max(factors["roc_auc"], factors["log_loss"], least)
    return VarianceFactors(decisions, ranks, max(factors["log_loss"], decisions))


def _design_effects(nested: NestedCrossValidation, threshold: float) -> dict[str, float]:
    """The design effects of the estimates, from the out-of-fold scores of the first shuffle."""
    labels, scores = nested.labels, nested.scores[0]
    logits = scores.logits[np.arange(len(labels)), scores.folds]
    probabilities = cross_fit_probabilities(logits, labels, scores.folds)
    decisions = (probabilities >= threshold).astype(np.int8)
    sample = Sample(labels, decisions, probabilities, logits, nested.groups)
    return {
        "accuracy": sample.of_rate(np.ones(len(labels), np.bool_)),
        "recall": sample.of_rate(labels == 1),
        "specificity": sample.of_rate(labels != 1),
        "roc_auc": sample.of_area(),
        "log_loss": sample.of_losses(log_losses(labels, probabilities)),
    }


def _differences(labels: Labels, scores: NestedScores, threshold: float) -> Iterator[dict[str, NDArray[np.float64]]]:
    """For each fold left out, by metric: D², the variance within the inner folds, the variance on the fold, and the K - 1."""
    count = scores.logits.shape[1] - 1
    for held_out, logits in scores.splits():
        inner, outer = ~held_out, held_out
        calibration = fit_calibration(logits[inner], labels[inner])
        crossed = cross_fit_probabilities(logits[inner], labels[inner], scores.folds[inner])
        inside = estimates(labels[inner], crossed, logits[inner], threshold)
        outside = estimates(labels[outer], calibration.probabilities(logits[outer]), logits[outer], threshold)
        yield {
            name: np.array([(inside[name][0] - outside[name][0]) ** 2, inside[name][1], outside[name][1], count])
            for name in inside
        }


def _factor(rows: Sequence[NDArray[np.float64]], effect: float) -> float:
    square, inside, outside, count = np.mean(rows, axis=0)
    if not inside > 0:
        return 1.0
    return max(1.0, float((square / effect - min(outside, count * inside)) / inside))
