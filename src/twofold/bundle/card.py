"""The model card: the README.md of a bundle."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_TEMPLATE = "card.md.jinja"


def render_card(values: Mapping[str, Any]) -> str:
    """The card as Markdown; `values` are the names that the template uses. A name that is missing raises UndefinedError."""
    import jinja2  # here, because predicting does not need it

    template = (files("twofold.bundle") / _TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(values)
