"""Whether fast arithmetic is as good as float32 on the pictures at hand, and what happens where it is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.embedding import Machine, fast_precisions, load_backbone
from twofold.options import BackboneOptions, TrainingOptions
from twofold.precision import PrecisionCheck, compare_precisions, standardised_cosines
from twofold.training import Training, train


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


Checked = Callable[[float, float], tuple[PrecisionCheck, Training]]


@pytest.fixture
def checked(machine: Machine, tmp_path: Path) -> Checked:
    def check(height: float, noise: float) -> tuple[PrecisionCheck, Training]:
        options = BackboneOptions(size=96, precision="int8")
        trained = train(stripes(tmp_path / "stripes", height, noise), TrainingOptions(backbone=options), machine)
        exact = load_backbone(replace(options, precision="f32"), "f32", cache=tmp_path)
        paths, vectors = [Path(path) for path in trained.sample.paths], trained.sample.table.vectors
        return compare_precisions(trained.fit.model, paths, vectors, exact, machine, seed=0), trained

    return check


def test_int8_is_trusted_on_pictures_of_much_contrast(checked: Checked) -> None:
    check, _ = checked(40, 5)
    assert check.pictures == 60
    assert check.trusted


@pytest.mark.parametrize("noise", [0, 0.5, 2])
def test_int8_is_not_trusted_on_pictures_that_differ_by_a_grey_level(noise: float, checked: Checked) -> None:
    check, _ = checked(1, noise)
    assert not check.trusted
    assert "so float32 was used" in check.note().text


def test_where_int8_is_not_trusted_float32_is_used_with_a_note(machine: Machine, tmp_path: Path) -> None:
    data = stripes(tmp_path / "stripes", 1, 0.5)
    auto = train(data, TrainingOptions(backbone=BackboneOptions(size=96)), machine)
    exact = train(data, TrainingOptions(backbone=BackboneOptions(size=96, precision="f32")), machine)
    assert auto.fit.model.backbone.precision == "f32"
    assert np.array_equal(auto.sample.table.vectors, exact.sample.table.vectors)
    assert np.array_equal(auto.fit.model.head.weights, exact.fit.model.head.weights)
    assert auto.fit.model.probe_logits is not None
    assert np.array_equal(auto.fit.model.probe_logits, exact.fit.model.probe_logits)
    fallbacks = [note for note in auto.notes if note.code == "precision-fallback"]
    assert len(fallbacks) == ("int8" in fast_precisions())
    assert auto.precision is None or (auto.precision.precision == "int8" and not auto.precision.trusted)


@pytest.mark.parametrize(
    ("pictures", "changed", "cosine", "trusted"),
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
    pictures: int, changed: int, cosine: float, trusted: bool
) -> None:
    assert PrecisionCheck("int8", pictures, cosine, cosine, changed).trusted == trusted


def test_standardised_cosines_see_what_raw_ones_do_not() -> None:
    vectors = np.float32([[100, 1], [100, -1], [100, 3], [100, -3], [101, 0], [99, 0]])
    turned = vectors * np.float32([1, -1])
    assert standardised_cosines(vectors, vectors, vectors) == pytest.approx(np.ones(6))
    assert standardised_cosines(vectors, turned, vectors)[:4] == pytest.approx([-1, -1, -1, -1])
    raw = np.einsum("nd,nd->n", vectors, turned) / np.linalg.norm(vectors, axis=1) ** 2
    assert raw.min() > 0.99
