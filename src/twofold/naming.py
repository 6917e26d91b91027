"""Help for a name that was mistyped."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, legal: Iterable[str]) -> str:
    """A half-sentence that names the closest legal name, or nothing.

    >>> nearest("recal", ["recall", "precision"])
    " (did you mean 'recall'?)"
    """
    close = get_close_matches(name, list(legal), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
