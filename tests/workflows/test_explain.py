"""The Explainer: the prediction of the bundle with a map that sums up to its logit, and occlusion where there is no such map."""

from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.bundle.storage import load_bundle
from twofold.core.errors import BackboneError
from twofold.decision import Calibration, Head, Rule
from twofold.embedding import Runtime
from twofold.networks import Backbone
from twofold.workflows.evidence_checks import evidence_checks
from twofold.workflows.explain import Explainer
from twofold.workflows.predict import Predictor


@pytest.fixture(scope="module")
def explainer(bundle: Path, runtime: Runtime) -> Explainer:
    return Explainer(load_bundle(bundle), runtime)


@pytest.fixture(scope="module")
def occluding(maximum: Backbone, runtime: Runtime) -> Explainer:
    head = Head(np.random.default_rng(0).normal(size=6).astype(np.float32), 0.0)
    return Explainer(Model(("bars", "rings"), maximum, head, Calibration(1.0, 0.0), Rule.at(0.5)), runtime)


def test_an_explanation_has_the_prediction_of_the_bundle(explainer: Explainer, bundle: Path) -> None:
    images = [np.asarray(draw(pattern, 90)) for pattern in ("bars", "rings")]
    with Predictor(load_bundle(bundle), explainer.runtime) as predictor:
        predictions = predictor.predict(images)
    for image, prediction in zip(images, predictions, strict=True):
        explanation = explainer.explain(image)
        assert explanation.prediction == prediction
        assert explanation.map is not None
        assert explanation.bias is not None
        assert explanation.map.sum(dtype=np.float64) + explanation.bias == pytest.approx(prediction.logit, abs=1e-4)
        assert explanation.method == "exact"
        assert explanation.region is not None
        assert explanation.region.label == prediction.label


def test_a_file_that_cannot_be_read_has_a_reason_and_no_map(explainer: Explainer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    draw("bars", 1).save(tmp_path / "b.png")
    missing, bad, good = explainer.stream([tmp_path / "none.png", tmp_path / "a.png", tmp_path / "b.png"])
    assert (missing.map, missing.prediction.reason) == (None, "missing")
    assert (bad.map, bad.prediction.reason, bad.prediction.path) == (None, "not-an-image", str(tmp_path / "a.png"))
    assert good.map is not None


def test_a_network_with_another_pooling_is_explained_by_occlusion(occluding: Explainer) -> None:
    explanation = occluding.explain(np.asarray(draw("rings", 4)))
    assert explanation.method == "occlusion"
    assert explanation.map is not None
    assert explanation.map.shape == (8, 8)
    assert explanation.bias is None
    assert [note.code for note in occluding.notes] == ["occlusion"]
    with pytest.raises(BackboneError, match="cannot be exact"):
        occluding.explain(np.asarray(draw("rings", 4)), method="exact")


def test_another_head_gives_another_map_of_the_same_features(explainer: Explainer) -> None:
    head, image = explainer.model.head, np.asarray(draw("rings", 7))
    other = explainer.with_head(Head(-head.weights, -head.bias))
    first, second = explainer.explain(image), other.explain(image)
    assert first.map is not None
    assert second.map == pytest.approx(-first.map, abs=1e-6)
    assert second.logit == pytest.approx(-first.logit) if first.logit is not None else False


def patched(number: int, channel: int) -> NDArray[np.uint8]:
    """A grey image with noise, and a patch in which one channel is bright and the others are dark."""
    random = np.random.default_rng(number)
    image = random.integers(90, 110, (64, 64, 3), np.uint8)
    top, left = random.integers(0, 40, 2)
    image[top : top + 20, left : left + 20] = 0
    image[top : top + 20, left : left + 20, channel] = 255
    return image


def test_the_checks_of_a_model_that_follows_patches_find_them(linear: Backbone, runtime: Runtime) -> None:
    head = Head(np.array([1, 0, -1], np.float32), 0.0)
    explainer = Explainer(Model(("blue", "red"), linear, head, Calibration(1.0, 0.0), Rule.at(0.5)), runtime)
    checks = evidence_checks(explainer, [*(patched(number, 2 * (number % 2)) for number in range(8)), b"no image"])
    assert (checks.images, checks.patches, checks.hits) == (8, 8, 8)
    assert [step.area for step in checks.deletion] == [1 / 16, 1 / 8, 1 / 4, 1 / 2]
    assert all(step.strongest > step.random for step in checks.deletion)
    assert checks.deletion[2].strongest > 3 * checks.deletion[2].random
    assert checks.as_json()["deletion"][0].keys() == {"area", "strongest", "random"}


def test_a_randomised_head_changes_the_map(explainer: Explainer) -> None:
    images = [np.asarray(draw(pattern, 60, 120)) for pattern in ("bars", "rings")]
    correlation = evidence_checks(explainer, images).randomised_correlation
    assert correlation is not None
    assert correlation < 0.95


def test_checks_without_images_or_of_one_class_say_so(explainer: Explainer) -> None:
    assert evidence_checks(explainer, []).randomised_correlation is None
    checks = evidence_checks(explainer, [np.asarray(draw("bars", 61, 120))])
    assert (checks.images, checks.patches, checks.hits) == (1, 0, 0)
