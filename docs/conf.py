"""Sphinx: the pages beside this file, in MyST Markdown."""

from importlib.metadata import version as installed

project = "twofold"
author = "The twofold developers"
copyright = f"2026, {author}"
release = version = installed("twofold")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"twofold {release}"
