"""Whether a fast dtype is as good as float32 on the images at hand, and what happens where it is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.core.options import BackboneOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.networks import fast_dtypes, load_backbone
from twofold.workflows.dtype_check import DtypeCheck, check_dtype, standardised_cosines
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult


def stripes(folder: Path, height: float, noise: float) -> Path:
    """Stripes across or down, so many grey levels high: faint ones are lost where a network has few levels."""
    random = np.random.default_rng(1)
    for label in ("across", "down"):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            along = np.mgrid[:96, :96][0 if label == "down" else 1]
            waves = height * np.sign(np.sin(along * random.uniform(0.5, 0.9)))
            pixels = 100 + waves + random.normal(0, noise, (96, 96))
            Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


Checked = Callable[[float, float], tuple[DtypeCheck, TrainingResult]]


@pytest.fixture
def checked(runtime: Runtime, tmp_path: Path) -> Checked:
    def check(height: float, noise: float) -> tuple[DtypeCheck, TrainingResult]:
        options = BackboneOptions(size=96, dtype="int8", crop_mode="center")
        trained = train(stripes(tmp_path / "stripes", height, noise), TrainingOptions(backbone=options), runtime)
        exact = load_backbone(replace(options, dtype="f32"), "f32", cache=tmp_path)
        paths, features = [Path(path) for path in trained.dataset.paths], trained.dataset.table.features
        return check_dtype(trained.fit.model, paths, features, exact, runtime, seed=0), trained

    return check


def test_int8_is_used_on_images_of_much_contrast(checked: Checked) -> None:
    check, _ = checked(40, 5)
    assert check.images == 60
    assert check.is_reliable


@pytest.mark.parametrize("noise", [0, 0.5, 2])
def test_int8_is_not_used_on_images_that_differ_by_a_grey_level(noise: float, checked: Checked) -> None:
    check, _ = checked(1, noise)
    assert not check.is_reliable
    assert "so float32 was used" in check.note().text


def test_where_int8_is_not_trusted_float32_is_used_with_a_note(runtime: Runtime, tmp_path: Path) -> None:
    data = stripes(tmp_path / "stripes", 1, 0.5)
    auto = train(data, TrainingOptions(backbone=BackboneOptions(size=96)), runtime)
    exact = train(data, TrainingOptions(backbone=BackboneOptions(size=96, dtype="f32")), runtime)
    assert auto.fit.model.backbone.dtype == "f32"
    assert np.array_equal(auto.dataset.table.features, exact.dataset.table.features)
    assert np.array_equal(auto.fit.model.head.weights, exact.fit.model.head.weights)
    assert auto.fit.model.probe_logits is not None
    assert np.array_equal(auto.fit.model.probe_logits, exact.fit.model.probe_logits)
    fallbacks = [note for note in auto.notes if note.code == "dtype-fallback"]
    assert len(fallbacks) == ("int8" in fast_dtypes())
    assert auto.dtype_check is None or (auto.dtype_check.dtype == "int8" and not auto.dtype_check.is_reliable)


@pytest.mark.parametrize(
    ("images", "changed", "cosine", "is_reliable"),
    [
        (200, 0, 1.0, True),
        (200, 6, 0.96, True),
        (200, 7, 0.99, False),
        (200, 0, 0.9599, False),
        (200, 0, float("nan"), False),
        (20, 1, 0.99, False),
        (0, 0, 0.0, False),
    ],
)
def test_int8_is_judged_by_changed_answers_and_by_features(
    images: int, changed: int, cosine: float, is_reliable: bool
) -> None:
    assert DtypeCheck("int8", images, cosine, cosine, changed).is_reliable == is_reliable


def test_standardised_cosines_see_what_raw_ones_do_not() -> None:
    features = np.float32([[100, 1], [100, -1], [100, 3], [100, -3], [101, 0], [99, 0]])
    turned = features * np.float32([1, -1])
    assert standardised_cosines(features, features, features) == pytest.approx(np.ones(6))
    assert standardised_cosines(features, turned, features)[:4] == pytest.approx([-1, -1, -1, -1])
    raw = np.einsum("nd,nd->n", features, turned) / np.linalg.norm(features, axis=1) ** 2
    assert raw.min() > 0.99
