"""A bundle of a small network, to be exported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.decision import Calibration, Familiarity, Head, Rule
from twofold.networks import Backbone


def tiny_bundle(backbone: Backbone, **preprocessing: Any) -> Bundle:
    """A bundle with a head of random numbers, whose probabilities are spread."""
    backbone = replace(backbone, preprocessing=replace(backbone.preprocessing, **preprocessing))
    random = np.random.default_rng(1)
    width = 6 * backbone.preprocessing.moments
    head = Head(random.normal(size=width).astype(np.float32), 0.1)
    familiarity = Familiarity(
        ((0, 6),),
        random.normal(0, 0.1, 6).astype(np.float32),
        np.eye(6, dtype=np.float16)[:2],
        np.linspace(0, 1.2, 5).astype(np.float32),
        np.linspace(1, 0, 5).astype(np.float32),
    )
    model = Model(("bars", "rings"), backbone, head, Calibration(1.0, 0.0), Rule.at(0.5), familiarity=familiarity)
    return Bundle(Path("tiny.twofold"), model, {"sha256": "0" * 64})
