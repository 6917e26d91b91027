"""The page of a report: one self-contained HTML file."""

from twofold.report.page.images import PageImages, read_images, with_images
from twofold.report.page.page import report_page

__all__ = ["PageImages", "read_images", "report_page", "with_images"]
