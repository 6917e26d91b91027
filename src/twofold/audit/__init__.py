"""The audit of labelled images: label issues, shortcuts, leakage, the learning curve, and the file report."""

from twofold.audit.file_report import FileReportRow, write_file_report
from twofold.audit.findings import LEAST, Against, Audit, audit_sample, folds_of, look_for_shortcuts
from twofold.audit.learning_curve import fit_learning_curve

__all__ = [
    "LEAST",
    "Against",
    "Audit",
    "FileReportRow",
    "audit_sample",
    "fit_learning_curve",
    "folds_of",
    "look_for_shortcuts",
    "write_file_report",
]
