"""The decision: a head on vectors, calibration of its logits, and the threshold that turns a probability to an answer."""

from twofold.decision.calibration import Calibration, fit_calibration
from twofold.decision.counts import Counts
from twofold.decision.head import Head, HeadFit, fit_head
from twofold.decision.regressions import with_floor
from twofold.decision.thresholds import POLICIES, Choice, Threshold, choose_threshold

__all__ = [
    "POLICIES",
    "Calibration",
    "Choice",
    "Counts",
    "Head",
    "HeadFit",
    "Threshold",
    "choose_threshold",
    "fit_calibration",
    "fit_head",
    "with_floor",
]
