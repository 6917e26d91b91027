"""What is wrong with labelled pictures: copies, wrong labels, shortcuts."""

from twofold.audit.audit import LEAST, Against, Audit, audit_sample, folds_of, look_for_shortcuts
from twofold.audit.enough import judge_amount

__all__ = ["LEAST", "Against", "Audit", "audit_sample", "folds_of", "judge_amount", "look_for_shortcuts"]
