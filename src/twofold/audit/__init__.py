"""What is wrong with labelled pictures: copies, wrong labels, shortcuts."""

from twofold.audit.audit import Audit, audit_sample

__all__ = ["Audit", "audit_sample"]
