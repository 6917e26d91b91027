"""Advice in messages: the nearest valid name, and how to install what is missing."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec

from twofold.core.errors import BackboneError


def nearest(name: str, valid: Iterable[str]) -> str:
    """A question with the most similar valid name, or an empty string.

    >>> nearest("recal", ["recall", "precision"])
    " (did you mean 'recall'?)"
    """
    close = get_close_matches(name, list(valid), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def install(extra: str) -> str:
    """How to install an extra of twofold: from a clone, because twofold is not on a package index.

    >>> install("hub")
    "install it with: pip install '.[hub]', in your clone of twofold"
    """
    return f"install it with: pip install '.[{extra}]', in your clone of twofold"


def require(what: str, *packages: str, extra: str = "torch") -> None:
    """Raises BackboneError if a package that `what` needs is not installed; the extra of twofold has it."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise BackboneError(f"{what} needs {' and '.join(missing)}; {install(extra)}.")
