"""Figures of an Evaluation; nothing is computed here."""

from twofold.report.figures import FIGURES, write_figures

__all__ = ["FIGURES", "write_figures"]
