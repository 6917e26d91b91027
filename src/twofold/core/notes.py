"""Notes: what was assumed, skipped or corrected. They belong to results, so that every face shows the same ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A code in kebab-case, and one sentence."""

    code: str
    text: str


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun; the plural is by default `singular` with an s.

    >>> count_text(1, "image"), count_text(1200, "image"), count_text(2, "class", "classes")
    ('1 image', '1200 images', '2 classes')
    """
    return f"{count} {singular if count == 1 else plural or singular + 's'}"
