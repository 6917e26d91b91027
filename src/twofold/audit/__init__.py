"""The audit of labelled images: label issues, shortcuts, leakage, the learning curve, and the file report."""

from twofold.audit.file_report import FileReportRow, write_file_report
from twofold.audit.findings import MIN_IMAGES, Against, Audit, assign_folds, audit_dataset, audit_shortcuts
from twofold.audit.learning_curve import fit_learning_curve

__all__ = [
    "MIN_IMAGES",
    "Against",
    "Audit",
    "FileReportRow",
    "assign_folds",
    "audit_dataset",
    "audit_shortcuts",
    "fit_learning_curve",
    "write_file_report",
]
