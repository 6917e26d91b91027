"""The best threshold on the data of an evaluation, and the significance of its gain."""

from dataclasses import dataclass

import numpy as np

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.calibration import fit_calibration_through
from twofold.decision.confusion import accuracy
from twofold.decision.rule import Rule
from twofold.decision.sweep import best_threshold, gain_p_value


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """The threshold with the highest accuracy on this data. Its gain is optimistic: it was chosen on the same data."""

    value: float
    accuracy: float
    gain: float  # in accuracy, over the threshold in use
    newly_correct: int  # images
    newly_wrong: int
    p_value: float  # of the test that the threshold in use is the best one
    significant: bool  # p_value < 0.05


def find_best_threshold(labels: Labels, probabilities: Probabilities, rule: Rule, *, seed: int = 0) -> BestThreshold:
    """The best threshold on this data, with a test of its gain that accounts for the search.

    Under the null hypothesis the threshold in use is the best one: the probability of the positive class is one half there. It
    is modelled as a sigmoid of the logit through that point, fitted to this data. Labels are drawn from it, the best threshold
    of each draw is searched, and the p-value is the fraction of draws with at least the gain of this data.
    """
    threshold = rule.threshold
    best = best_threshold(labels, probabilities, accuracy, threshold)
    before = rule.answer(probabilities) == labels
    after = (probabilities >= best) == (labels == 1)
    gain = float(after.mean() - before.mean())
    p_value = 1.0
    if gain > 0:
        logits, centre = _logit(probabilities), float(_logit(np.asarray(threshold)))
        truth = fit_calibration_through(logits, labels, centre).probabilities(logits)
        p_value = gain_p_value(labels, probabilities, truth, accuracy, threshold, seed)
    return BestThreshold(
        value=best,
        accuracy=float(after.mean()),
        gain=gain,
        newly_correct=int((after & ~before).sum()),
        newly_wrong=int((before & ~after).sum()),
        p_value=p_value,
        significant=p_value < 0.05,
    )


def _logit(probabilities: Probabilities) -> Probabilities:
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    return np.log(p) - np.log1p(-p)
