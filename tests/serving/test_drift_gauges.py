"""Gauges that say whether the images of a service have changed."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from twofold.bundle import Bundle, load_bundle
from twofold.bundle.model import Prediction
from twofold.serving.drift_gauges import DriftGauges


@pytest.fixture
def loaded(bundle: Path) -> Bundle:
    return load_bundle(bundle)


def predictions(count: int, familiarity: float, seed: int = 0) -> list[Prediction]:
    """Of both classes in turn, with this familiarity at most."""
    rng = np.random.default_rng(seed)
    rows = zip(np.resize([-8.0, 8.0], count) + rng.random(count), familiarity * rng.random(count), strict=True)
    return [Prediction("", None, 0.5, float(known), float(logit), None) for logit, known in rows]


def read(registry: CollectorRegistry, gauge: str, measure: str) -> float | None:
    return registry.get_sample_value(f"twofold_watch_{gauge}", {"model": "a", "measure": measure})


def test_a_quiet_service_has_no_alarm_and_strange_images_raise_one(loaded: Bundle) -> None:
    registry = CollectorRegistry()
    gauges = DriftGauges(registry)
    gauges.begin("a", "1", loaded)
    assert (read(registry, "wealth", "familiarity"), read(registry, "alarm", "familiarity")) == (1, 0)
    gauges.count("a", "1", predictions(50, 1.0))
    assert (read(registry, "alarm", "familiarity"), read(registry, "alarm", "logit")) == (0, 0)
    gauges.count("a", "1", predictions(50, 0.05, seed=1))
    assert (read(registry, "alarm", "familiarity"), read(registry, "alarm", "logit")) == (1, 0)
    wealth, limit = read(registry, "wealth", "familiarity"), read(registry, "limit", "familiarity")
    assert wealth is not None
    assert limit == pytest.approx(285.714, abs=0.001)
    assert wealth > limit


def test_an_image_that_is_asked_again_counts_once(loaded: Bundle) -> None:
    registry = CollectorRegistry()
    gauges = DriftGauges(registry)
    gauges.begin("a", "1", loaded)
    once = predictions(1, 0.01)
    gauges.count("a", "1", once)
    wealth = read(registry, "wealth", "familiarity")
    gauges.count("a", "1", once * 100)
    assert read(registry, "wealth", "familiarity") == wealth


def test_a_replaced_bundle_begins_anew_and_late_answers_of_the_old_one_do_not_count(loaded: Bundle) -> None:
    registry = CollectorRegistry()
    gauges = DriftGauges(registry)
    gauges.begin("a", "1", loaded)
    gauges.count("a", "1", predictions(100, 0.05))
    gauges.begin("a", "2", loaded)
    gauges.count("a", "1", predictions(100, 0.05, seed=2))
    assert (read(registry, "wealth", "familiarity"), read(registry, "alarm", "familiarity")) == (1, 0)


def test_read_errors_are_no_images_and_a_bundle_without_scores_has_no_gauges(loaded: Bundle, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    gauges = DriftGauges(registry)
    gauges.begin("a", "1", loaded)
    gauges.count("a", "1", [Prediction("", None, None, None, None, "damaged")] * 3)
    assert read(registry, "wealth", "logit") == 1
    gauges.begin("a", "2", Bundle(tmp_path, loaded.model, loaded.record))
    gauges.count("a", "2", predictions(5, 1.0))
    assert read(registry, "wealth", "logit") is None
