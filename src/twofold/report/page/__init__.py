"""The page of a report: one self-contained HTML file."""

from twofold.report.page.page import report_page

__all__ = ["report_page"]
