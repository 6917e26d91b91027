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
    """Public names are loaded when they are asked for: scikit-learn alone takes a second."""
    if name not in _HOMES:
        raise AttributeError(f"module 'twofold' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Also what is not loaded yet, for whoever looks with dir() or the Tab key."""
    return sorted({*globals(), *__all__})
