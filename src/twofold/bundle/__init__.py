"""The model, and the folder that holds it."""

from twofold.bundle.model import Model, Prediction
from twofold.bundle.storage import Bundle, load_bundle

__all__ = ["Bundle", "Model", "Prediction", "load_bundle"]
