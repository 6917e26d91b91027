"""From features to decisions: head, calibration, policies and rule."""

from twofold.decision.calibration import Calibration, fit_calibration
from twofold.decision.familiarity import Familiarity, FamiliarityFit, fit_familiarity
from twofold.decision.feature_stripes import with_floor
from twofold.decision.head import Head, HeadFit, fit_head
from twofold.decision.policies import POLICIES, choose_rule
from twofold.decision.rule import PolicyRecord, Rule

__all__ = [
    "POLICIES",
    "Calibration",
    "Familiarity",
    "FamiliarityFit",
    "Head",
    "HeadFit",
    "PolicyRecord",
    "Rule",
    "choose_rule",
    "fit_calibration",
    "fit_familiarity",
    "fit_head",
    "with_floor",
]
