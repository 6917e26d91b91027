"""Predictions of any number of images by a bundle, into a folder of parts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from twofold.bundle.storage import load_bundle
from twofold.core.errors import BundleError
from twofold.core.hints import require
from twofold.core.options import DecisionOptions, EngineName, RuntimeOptions
from twofold.core.progress import Progress
from twofold.embedding import Runtime
from twofold.workflows.decide import with_rule
from twofold.workflows.predict import Predictor
from twofold.workflows.scale.feature_folder import BUNDLE, copy_model
from twofold.workflows.scale.feature_rows import FeatureFormat, FeaturePredictor
from twofold.workflows.scale.prediction_rows import PredictionFormat
from twofold.workflows.scale.run_parts import PartsResult, compute_parts


@dataclass(frozen=True, slots=True)
class BundlePredictor:
    """A function that opens the predictor of a bundle, in the process that calls it. `model` is the SHA-256 of its record.

    With `save_features` its rows have the features, too.
    """

    path: Path
    model: str
    decision_options: DecisionOptions
    runtime_options: RuntimeOptions
    always_answer: bool = False
    save_features: bool = False

    def __call__(self) -> Predictor | FeaturePredictor:
        bundle = load_bundle(self.path)
        if bundle.record["sha256"] != self.model:
            raise BundleError(f"{self.path} was replaced during the run: run it again, into another folder.")
        bundle = with_rule(bundle, self.decision_options)
        # No features are cached: a million images are seen once, and their features take gigabytes.
        runtime = Runtime(Path(os.devnull), replace(self.runtime_options, cache=False))
        predictor = Predictor(bundle.always_answering() if self.always_answer else bundle, runtime)
        return FeaturePredictor(predictor) if self.save_features else predictor

    def record(self) -> dict[str, Any]:
        """What the predictions depend on, as JSON."""
        changed = {
            field.name: getattr(self.decision_options, field.name)
            for field in fields(self.decision_options)
            if getattr(self.decision_options, field.name) != field.default
        }
        return {
            "bundle": self.model,
            "decision": changed,
            "always_answer": self.always_answer,
            "max_megapixels": self.runtime_options.max_megapixels,
            **({"features": True} if self.save_features else {}),
        }


def predict_bundle(
    bundle: Path,
    sources: Sequence[str],
    out: Path,
    engine: EngineName,
    decision_options: DecisionOptions,
    runtime_options: RuntimeOptions,
    progress: Progress,
    *,
    always_answer: bool = False,
    save_features: bool = False,
) -> PartsResult:
    """Predicts the images of the sources with the bundle at a path into the folder `out`; see `compute_parts`.

    With `save_features` the rows have all that a training needs of the images, and the folder has a copy of the bundle's model.
    """
    require("A run with an engine", "pyarrow", extra="scale")
    loaded_bundle = with_rule(load_bundle(bundle), decision_options)  # here, so that a fault is found before long work
    model = loaded_bundle.record["sha256"]
    open_predictor = BundlePredictor(bundle, model, decision_options, runtime_options, always_answer, save_features)
    row_format = FeatureFormat(loaded_bundle.model.head.weights.size) if save_features else PredictionFormat()
    del loaded_bundle
    result = compute_parts(
        sources,
        out,
        open_predictor,
        row_format,
        model,
        open_predictor.record(),
        engine,
        progress,
        threads=runtime_options.threads,
    )
    if save_features:
        copy_model(bundle, out / BUNDLE, model)
    return result
