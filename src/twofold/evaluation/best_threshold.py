"""Hindsight: the threshold that would have been best on this data, and whether its gain is more than noise."""

from dataclasses import dataclass

import numpy as np

from twofold.decision.calibration import fit_through
from twofold.decision.counts import accuracy
from twofold.decision.rule import Rule
from twofold.decision.sweep import best_threshold, chance_of_gain
from twofold.evaluation.metrics import Labels, Probabilities


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """The threshold of the highest accuracy on the very data it was picked on, so its gain flatters it."""

    value: float
    accuracy: float
    gain: float  # in accuracy, over the threshold in use
    repaired: int  # answers that it turns from wrong to right
    spoiled: int  # and from right to wrong
    p_value: float  # chance of such a gain if the threshold in use were the best in truth
    more_than_noise: bool  # p_value < 0.05


def find_best_threshold(labels: Labels, probabilities: Probabilities, rule: Rule, *, seed: int = 0) -> BestThreshold:
    """What the best other threshold would have gained here, tested with the search for it counted in.

    Were the threshold in use the best in truth, the chance of the positive class would cross one half there. So it is
    modelled as a sigmoid of the logit through that point, fitted to this data; labels are drawn from it, the best
    threshold is searched anew in each draw, and the p-value is the share of draws that gain as much as this data does.
    """
    threshold = rule.threshold
    best = best_threshold(labels, probabilities, accuracy, threshold)
    before = rule.decide(probabilities) == labels
    after = (probabilities >= best) == (labels == 1)
    gain = float(after.mean() - before.mean())
    p_value = 1.0
    if gain > 0:
        logits, centre = _logit(probabilities), float(_logit(np.asarray(threshold)))
        truth = fit_through(logits, labels, centre).probabilities(logits)
        p_value = chance_of_gain(labels, probabilities, truth, accuracy, threshold, seed)
    return BestThreshold(
        value=best,
        accuracy=float(after.mean()),
        gain=gain,
        repaired=int((after & ~before).sum()),
        spoiled=int((before & ~after).sum()),
        p_value=p_value,
        more_than_noise=p_value < 0.05,
    )


def _logit(probabilities: Probabilities) -> Probabilities:
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    return np.log(p) - np.log1p(-p)
