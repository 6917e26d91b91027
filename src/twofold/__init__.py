"""Two folders of images in, a yes/no model you can trust out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.bundle.storage import Bundle, load_bundle
    from twofold.core.errors import TwofoldError
    from twofold.estimator import BinaryImageClassifier
    from twofold.workflows.predict import Predictor

__all__ = ["BinaryImageClassifier", "Bundle", "Predictor", "TwofoldError", "load_bundle"]

_HOMES = {
    "BinaryImageClassifier": "twofold.estimator",
    "Bundle": "twofold.bundle.storage",
    "Predictor": "twofold.workflows.predict",
    "TwofoldError": "twofold.core.errors",
    "load_bundle": "twofold.bundle.storage",
}


def __getattr__(name: str) -> Any:
    """The public name, imported at its first use: scikit-learn alone takes a second to import."""
    if name not in _HOMES:
        raise AttributeError(f"module 'twofold' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """All names for `dir()` and tab completion, with the public names that are not imported yet."""
    return sorted({*globals(), *__all__})
