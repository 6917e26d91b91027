"""The report as one HTML file: no request, no file beside it, the same in five years."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from twofold.report.explanation_text import checks_lines
from twofold.report.page.answer import answer, notes
from twofold.report.page.figures import (
    curve_figures,
    curve_images,
    learning_figures,
    shortcut_figures,
    size_figure,
)
from twofold.report.page.images import cells, gallery, maps, pair_cards, places_json, sheets
from twofold.report.page.numbers import (
    class_report,
    matrices,
    metric_rows,
    operating_rows,
    rule_difference,
    rule_rows,
    slice_rows,
)
from twofold.report.page.provenance import file_counts, file_rows, provenance
from twofold.report.page.scores_block import scores_block
from twofold.workflows.report import ReportData

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The content security policy: the browser itself refuses every request."""

_STYLES: Final = ("theme.css", "page.css")
_SCRIPTS: Final = ("components.js", "explorer.js", "gallery.js")


def report_page(data: ReportData, with_flags: Callable[[str], str] = str) -> str:
    """The page as HTML. `with_flags` turns options in the sentences of notes into those of the face."""
    import jinja2  # here, because predicting does not need it

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(_values(data, with_flags))


def page_json(value: Any) -> Markup:
    """The value as JSON inside a script element: no text in it can end the element.

    >>> page_json({"name": "</script><b>"})
    Markup('{"name": "\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}')
    """
    text = json.dumps(value, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _asset(name: str) -> str:
    return (files("twofold.report.page") / name).read_text(encoding="utf-8")


def _values(data: ReportData, with_flags: Callable[[str], str]) -> dict[str, Any]:
    """What the template needs; a section without content is empty, and left out."""
    block = None if data.thresholds is None else scores_block(data.thresholds)
    explorer = None if block is None else {"header": block.header, "name": data.name, "classes": list(data.classes)}
    parts = [{"name": scored.name, "cells": cells(scored, data)} for scored in data.scored]
    return {
        "policy": Markup(POLICY),
        "places": page_json(places_json(data.thumbnails)),
        "map_keys": page_json(list(data.maps)),
        "style": Markup("\n".join(map(_asset, _STYLES))),
        "sheets": sheets(data.thumbnails),
        "maps": maps(data),
        "script": Markup("\n".join(map(_asset, _SCRIPTS))),
        "state": page_json({"classes": list(data.classes), "parts": parts, "explorer": explorer}),
        "scores": None if block is None else Markup(block.data),
        "name": data.name,
        "classes": data.classes,
        "answer": answer(data),
        "notes": [{**note, "text": with_flags(note["text"])} for note in notes(data)],
        "remarks": data.remarks,
        "matrices": matrices(data),
        "columns": [column.name for column in data.columns],
        "metrics": metric_rows(data),
        "class_report": class_report(data),
        "explorer": data.thresholds,
        "rule_rows": rule_rows(data),
        "operating": operating_rows(data),
        "difference": rule_difference(data),
        "learning": learning_figures(data),
        "curves": curve_figures(data),
        "curves_name": "" if (scored := curve_images(data)) is None else scored.name,
        "gallery": gallery(data),
        "map_checks": [] if data.map_checks is None else checks_lines(data.map_checks),
        "map_checks_json": None if data.map_checks is None else page_json(data.map_checks.as_json()),
        "pairs": pair_cards(data),
        "slices": slice_rows(data),
        "shortcuts": shortcut_figures(data),
        "size": size_figure(data),
        "file_counts": file_counts(data),
        "file_rows": file_rows(data),
        "provenance": provenance(data),
    }
