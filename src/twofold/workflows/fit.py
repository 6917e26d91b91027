"""A model fitted on vectors or on what a network learned, with the honest scores that its numbers come from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.options import DecisionOptions
from twofold.dataset import folds
from twofold.decision import Head, choose_rule, fit_calibration, fit_head
from twofold.evaluation import Evaluation, evaluate
from twofold.networks import Backbone


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Logits of pictures by a head, or a whole network, that did not see them: a row for each of `rows`, which count usable
    pictures. `folds` tells which part of the cross-validation held them out; 0 for the validation part of learning."""

    rows: NDArray[np.int64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model, and the scores that its calibration, threshold and evaluation come from; `strength` is the head's C."""

    model: Model
    scores: Scores
    C: float | None
    evaluation: Evaluation


def fit_model(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    groups: NDArray[np.int64],
    rows: NDArray[np.int64],
    classes: tuple[str, str],
    backbone: Backbone,
    options: DecisionOptions,
) -> Fit:
    """The head, calibration and threshold from those `rows` of vectors (n, d), labels (n,) and groups (n,) that count.

    Members of a group share a fold.
    """
    parts = folds(np.asarray(classes)[labels[rows]], groups[rows], options.folds, options.seed)
    head = fit_head(features[rows], labels[rows], parts)
    scores = Scores(rows, parts, head.logits)
    return decide(scores, labels, classes, backbone, head.head, head.C, options)


def decide(
    scores: Scores,
    labels: NDArray[np.int8],
    classes: tuple[str, str],
    backbone: Backbone,
    head: Head,
    C: float | None,
    options: DecisionOptions,
) -> Fit:
    """Calibration, threshold and evaluation, all from the honest scores; `labels` are those of all usable pictures."""
    truth = labels[scores.rows]
    calibration = fit_calibration(scores.logits, truth)
    probabilities = calibration.probabilities(scores.logits)
    rule = choose_rule(truth, probabilities, policy=options.optimize, fixed=options.threshold, seed=options.seed)
    model = Model(classes, backbone, head, calibration, rule)
    evaluation = evaluate(truth, probabilities, rule, classes=classes, seed=options.seed)
    return Fit(model, scores, C, evaluation)
