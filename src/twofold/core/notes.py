"""A note: what was assumed, skipped or corrected. Notes belong to results, so that every face shows the same ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A code in kebab-case, and one sentence."""

    code: str
    text: str
