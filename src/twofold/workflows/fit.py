"""A model fitted on features, and the out-of-fold scores that its evaluation comes from."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.arrays import Labels, Probabilities, Reals, take_rows
from twofold.core.notes import Note, count_text
from twofold.core.options import DecisionOptions
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import FamiliarityFit, Head, Rule, choose_rule, fit_calibration, fit_head
from twofold.decision.bounds import needed_trials
from twofold.decision.costs import Costs, cost_rule
from twofold.decision.cross_fitting import cross_fit_probabilities
from twofold.decision.familiarity import CONFIDENCE, FALSE_ALARMS, MAX_WIDTH
from twofold.decision.familiarity_sample import fit_stored_familiarity
from twofold.decision.promises import Promise, parse_promise, promise_rule
from twofold.evaluation import Evaluation, evaluate
from twofold.evaluation.nested import NestedCrossValidation, variance_factors
from twofold.networks import Backbone, last_pooling
from twofold.workflows.nested_cross_validation import cross_validate_nested


def check_promises(options: DecisionOptions) -> list[Promise]:
    """The promises of the options. Raises UsageError for a text that is none, before any work."""
    return [parse_promise(text) for text in options.promise]


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """How the rule is chosen. `seed` fixes all random numbers."""

    options: DecisionOptions
    seed: int

    def choose(self, labels: Labels, probabilities: Probabilities, groups: NDArray[np.int64] | None) -> Rule:
        """The rule, from probabilities (n,) at the prevalence of the options, of images in groups (n,).

        Raises UsageError for a text that is no promise, DataError where promises cannot be kept.
        """
        options, prevalence, seed = self.options, self.options.fixed_prevalence, self.seed
        if options.promise:
            return promise_rule(
                labels,
                probabilities,
                check_promises(options),
                confidence=options.confidence,
                abstain=options.abstain,
                simultaneous=options.simultaneous,
                prevalence=prevalence,
                groups=groups,
                seed=seed,
            )
        if options.cost_fp is not None and options.cost_fn is not None:
            costs = Costs(options.cost_fp, options.cost_fn, options.cost_unsure)
            return cost_rule(labels, probabilities, costs, prevalence=prevalence, seed=seed)
        policy = options.optimize or "accuracy"
        return choose_rule(
            labels, probabilities, policy=policy, fixed=options.threshold, prevalence=prevalence, seed=seed
        )


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFoldScores:
    """Logits (n,) of images by a head or a network that was not fitted on them; `rows` (n,) are indices of usable images.

    `folds` names the fold that held each image out; 0 for the validation set of a training run.
    """

    rows: NDArray[np.int64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model, and the scores that its calibration, rule and evaluation come from; `C` is the head's inverse strength.

    `familiarity` (n,) is out-of-fold, NaN where an image was in no fold; None where the model has none.
    """

    model: Model
    scores: OutOfFoldScores
    C: float | None
    evaluation: Evaluation
    familiarity: Reals | None = field(default=None, repr=False)
    notes: tuple[Note, ...] = ()


def fit_model(
    dataset: LabelledDataset, rows: NDArray[np.int64], backbone: Backbone, folds: int, policy: DecisionPolicy
) -> Fit:
    """Head, calibration and rule, fitted on these `rows` of the usable images. Each group stays in one fold."""
    fold = assign_folds(dataset.names[rows], dataset.groups[rows], folds, policy.seed)
    features = take_rows(dataset.table.features, rows)
    labels = dataset.labels[rows]
    head = fit_head(features, labels, fold)
    nested = cross_validate_nested(features, labels, dataset.groups[rows], head.C, policy.seed)
    scores = OutOfFoldScores(rows, fold, head.logits)
    familiarity = fit_gate(dataset, backbone, scores)
    return fit_decision(dataset, scores, backbone, head.head, head.C, policy, nested, familiarity)


def fit_gate(
    dataset: LabelledDataset,
    backbone: Backbone,
    scores: OutOfFoldScores,
    unmeasured: NDArray[np.int64] | None = None,
) -> FamiliarityFit | None:
    """The familiarity of the images that have scores, on the last pooling of the network; None where it has too many features.

    `unmeasured` are further rows, whose images have a part in the axes only: the network was trained on them.
    """
    more = np.empty(0, np.int64) if unmeasured is None else unmeasured
    rows = np.concatenate([scores.rows, more])
    folds = np.concatenate([scores.folds, np.full(len(more), -1)])
    width = dataset.table.image_features.shape[1]
    parts = last_pooling(backbone.name, backbone.features, width)
    if sum(end - start for start, end in parts) > MAX_WIDTH:
        return None
    features = take_rows(dataset.table.features, rows)
    fit = fit_stored_familiarity(features, folds, dataset.groups[rows], parts)
    return replace(fit, values=fit.values[: len(scores.rows)])


def gate_notes(fit: FamiliarityFit | None) -> tuple[Note, ...]:
    """A note where the gate rests on so few images that it may raise more false alarms."""
    if fit is None:
        text = f"There is no familiarity gate: the network has more than {MAX_WIDTH:,} features."
        return (Note("no-gate", text),)
    gate, needed = fit.gate, needed_trials(0.0, FALSE_ALARMS, CONFIDENCE)
    if gate.false_alarms <= FALSE_ALARMS:
        return ()
    text = (
        f"The familiarity gate rests on {count_text(gate.groups, 'group')} of images: it may call up to "
        f"{100 * gate.false_alarms:.1f}% of images like the training images unfamiliar; {needed} groups are needed for "
        f"{100 * FALSE_ALARMS:.0f}%."
    )
    return (Note("few-images-for-gate", text),)


def fit_decision(
    dataset: LabelledDataset,
    scores: OutOfFoldScores,
    backbone: Backbone,
    head: Head,
    C: float | None,
    policy: DecisionPolicy,
    nested: NestedCrossValidation | None = None,
    familiarity: FamiliarityFit | None = None,
) -> Fit:
    """Calibration, rule and evaluation, all from the out-of-fold scores."""
    labels = dataset.labels[scores.rows]
    calibration = fit_calibration(scores.logits, labels)
    probabilities = calibration.at_prevalence(policy.options.fixed_prevalence).probabilities(scores.logits)
    groups = dataset.groups[scores.rows]
    rule = policy.choose(labels, probabilities, groups)
    values = None
    if familiarity is not None:
        values, gate = familiarity.values, familiarity.gate.as_json() if policy.options.gate else None
        rule = replace(rule, gate=gate)
    model = Model(
        dataset.classes,
        backbone,
        head,
        calibration,
        rule,
        familiarity=None if familiarity is None else familiarity.familiarity,
    )
    # Logits of networks trained without different folds differ in scale, so calibrations see images of all folds.
    comparable = scores if C is not None else replace(scores, folds=np.zeros_like(scores.folds))
    evaluation = evaluate_scores(
        comparable,
        labels,
        groups,
        rule,
        dataset.classes,
        seed=policy.seed,
        nested=nested,
        familiarity=values,
        model_probabilities=probabilities,
    )
    notes = gate_notes(familiarity) if policy.options.gate else ()
    return Fit(model, scores, C, evaluation, values, notes)


def evaluate_scores(
    scores: OutOfFoldScores,
    labels: Labels,
    groups: NDArray[np.int64],
    rule: Rule,
    classes: tuple[str, str],
    *,
    seed: int,
    nested: NestedCrossValidation | None = None,
    familiarity: Reals | None = None,
    model_probabilities: Probabilities | None = None,
) -> Evaluation:
    """The evaluation of out-of-fold scores, for the model that is fitted on all images.

    Probabilities are those of calibrations that are each fitted without one fold. The images are ordered by the logits, because
    calibrations that differ by fold would disturb the order. With `nested` the intervals are those of the model.
    """
    probabilities = cross_fit_probabilities(scores.logits, labels, scores.folds, groups)
    rule, probabilities = rule.restate(probabilities, float(np.mean(labels == 1)))
    return evaluate(
        labels,
        probabilities,
        rule,
        classes=classes,
        seed=seed,
        groups=groups,
        ranks=scores.logits,
        factors=None if nested is None else variance_factors(nested, rule.threshold),
        familiarity=familiarity,
        model_probabilities=model_probabilities,
    )
