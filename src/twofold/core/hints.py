"""Names in messages: of what was mistyped, and of what is not installed."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec

from twofold.core.errors import BackboneError


def nearest(name: str, legal: Iterable[str]) -> str:
    """A half-sentence that names the closest legal name, or nothing.

    >>> nearest("recal", ["recall", "precision"])
    " (did you mean 'recall'?)"
    """
    close = get_close_matches(name, list(legal), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def install(extra: str) -> str:
    """What to type for an extra of twofold, which is installed from a clone: it is on no index of packages.

    >>> install("hub")
    "install it with: pip install '.[hub]', typed in your clone of twofold"
    """
    return f"install it with: pip install '.[{extra}]', typed in your clone of twofold"


def require(what: str, *packages: str) -> None:
    """BackboneError where one of the packages that `what` needs is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise BackboneError(f"{what} needs {' and '.join(missing)}; {install('torch')}.")
