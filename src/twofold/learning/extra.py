"""Whether the packages of the extra `torch` are installed."""

from importlib.util import find_spec

from twofold.errors import BackboneError
from twofold.naming import install


def require(what: str, *packages: str) -> None:
    """BackboneError where one of the packages that `what` needs is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise BackboneError(f"{what} needs {' and '.join(missing)}; {install('torch')}.")
