"""Names of metrics, as texts, figures and notebooks show them."""

from typing import Final

METRIC_NAMES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log-loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}

PER_CLASS_METRICS: Final = ("precision", "recall", "specificity", "f1", "average_precision")
"""The metrics of one class, by default of the positive one; the others are the same whichever class is positive."""
