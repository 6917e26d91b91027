"""What is wrong with labelled pictures: copies, wrong labels, shortcuts."""

from twofold.audit.audit import Audit, audit_sample, look_for_shortcuts
from twofold.audit.enough import judge_amount

__all__ = ["Audit", "audit_sample", "judge_amount", "look_for_shortcuts"]
