"""What a Python shell shows of the package and of what it returns."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drawings import draw

import twofold
from twofold.bundle.storage import load_bundle
from twofold.data import PreprocessedImage, preprocess
from twofold.embedding import FeatureRow
from twofold.workflows.training_result import TrainingResult

MOST = 4000  # letters: a screen, however many images there are


def records(value: Any) -> Iterator[Any]:
    """All dataclasses in the value, itself first."""
    if is_dataclass(value):
        yield value
        for field in fields(value):
            yield from records(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from records(part)


def test_dir_lists_the_public_names_before_they_are_loaded() -> None:
    program = "import twofold; print(*dir(twofold))"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {*twofold.__all__, "__doc__", "__name__"} <= set(listed)
    assert len(listed) == len(set(listed))


def test_no_repr_grows_with_the_images_or_the_network(training: TrainingResult) -> None:
    shown = {type(record).__name__: repr(record) for record in records(training)}
    assert {
        "Audit",
        "Evaluation",
        "Fit",
        "Head",
        "TestResult",
        "Model",
        "LabelledDataset",
        "OutOfFoldScores",
        "FeatureTable",
    } <= set(shown)
    for name, text in shown.items():
        assert len(text) < MOST, name
        assert "array(" not in text, name
    assert "classes=('bars', 'rings')" in shown["TrainingResult"]
    assert not any(
        "bars-000.png" in shown[name]
        for name in ("TrainingResult", "LabelledDataset", "FileList", "Audit", "TestResult")
    )


def test_the_reprs_of_a_loaded_model_and_of_one_image_are_short(bundle: Path) -> None:
    model = load_bundle(bundle).model
    assert len(repr(model)) < 1000
    assert "efficientnet-lite0" in repr(model)
    seen = preprocess(draw("rings", 1), model.backbone.preprocessing)
    assert isinstance(seen, PreprocessedImage)
    assert len(repr(seen)) < 300
    assert len(repr(FeatureRow(None, seen.thumbnail, np.zeros(1000, np.float32), None))) < 300
