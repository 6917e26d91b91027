"""The page of a report: one self-contained HTML file."""

from twofold.report.page.images import read_thumbnails
from twofold.report.page.page import report_page

__all__ = ["read_thumbnails", "report_page"]
