"""Figures of results; nothing is computed here."""

from twofold.report.canvas import check_drawing
from twofold.report.figures import FIGURES, write_figures
from twofold.report.learning import write_curves
from twofold.report.settings import write_tuning

__all__ = ["FIGURES", "check_drawing", "write_curves", "write_figures", "write_tuning"]
