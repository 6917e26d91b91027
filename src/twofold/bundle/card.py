"""The model card: the README.md of a bundle."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from twofold.decision import Rule

_TEMPLATE: Final = "card.md.jinja"
_DECISION: Final = re.compile(r"<!-- decision -->.*?<!-- /decision -->", re.DOTALL)


def render_card(values: Mapping[str, Any]) -> str:
    """The card as Markdown; `values` are the names that the template uses. A name that is missing raises UndefinedError."""
    import jinja2  # here, because predicting does not need it

    template = (files("twofold.bundle") / _TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(values)


def decision_sentences(rule: Rule, classes: tuple[str, str]) -> str:
    """What the rule of a model of these (negative, positive) classes decides."""
    negative, positive = classes
    text = f"The decision is {positive} where the probability is at least {rule.high:.4f}"
    if rule.abstains:
        text += f", {negative} where it is below {rule.low:.4f}, and `unsure` between"
    text += f" (policy: {rule.policy.name})."
    if rule.prevalence is not None:
        text += f" Probabilities hold where {rule.prevalence:.2%} of the images are {positive}."
    return text


def replace_decision(card: str, text: str) -> str:
    """The card with this text on the decision; at its end where the place for it was removed."""
    block = f"<!-- decision -->{text}<!-- /decision -->"
    return _DECISION.sub(lambda _: block, card, count=1) if _DECISION.search(card) else f"{card}\n{block}\n"
