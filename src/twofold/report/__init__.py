"""Views of result records: text tables and figures. Nothing is computed here."""

from twofold.report.canvas import check_drawing
from twofold.report.evaluation_figures import FIGURES, write_figures
from twofold.report.training_curves import write_curves
from twofold.report.tuning_figure import write_tuning

__all__ = ["FIGURES", "check_drawing", "write_curves", "write_figures", "write_tuning"]
