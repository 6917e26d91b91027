"""Sphinx: the pages beside this file, in MyST Markdown."""

from dataclasses import fields
from importlib.metadata import version as installed
from typing import Any

from twofold.core import options

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


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", describe_parameters)


def describe_parameters(app: Any, kind: str, name: str, value: Any, settings: Any, lines: list[str]) -> None:
    """Adds the help texts of the options to the parameters of the classifier."""
    if name == "twofold.BinaryImageClassifier":
        records = (
            options.BackboneOptions,
            options.LearningOptions,
            options.DecisionOptions,
            options.CrossValidationOptions,
            options.RuntimeOptions,
        )
        texts = {field.name: field.metadata["help"] for record in records for field in fields(record)}
        lines += [f":param {parameter}: {texts[parameter]}" for parameter in value().get_params() if parameter in texts]
