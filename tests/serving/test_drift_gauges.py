"""Gauges that say whether the images of a service have changed."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image, ImageEnhance
from prometheus_client import CollectorRegistry
from service_process import OneModel

from twofold.bundle import Bundle, load_bundle
from twofold.bundle.slim import write_slim_bundle
from twofold.embedding import Runtime
from twofold.serving.drift_gauges import DriftGauges
from twofold.serving.model_repository import ModelRepository, ServedModel
from twofold.serving.served_lives import ServedLives
from twofold.workflows.monitors import TRAITS
from twofold.workflows.watch import Watch

MEASURES = ("familiarity", "logit", *TRAITS)


def png(number: int, light: float = 1.0) -> bytes:
    file = io.BytesIO()
    ImageEnhance.Brightness(draw(("bars", "rings")[number % 2], 700 + number)).enhance(light).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def same() -> list[bytes]:
    return [png(number) for number in range(48)]


@pytest.fixture(scope="module")
def dark() -> list[bytes]:
    return [png(number, 0.33) for number in range(48)]


@pytest.fixture
def serve(repository: ModelRepository) -> Callable[[Bundle], tuple[ServedModel, CollectorRegistry]]:
    """A model with a life of its own, and what Prometheus reads of it. The network is that of the bundle."""
    compiled = repository.get("drawn")
    assert compiled is not None

    def begin(bundle: Bundle) -> tuple[ServedModel, CollectorRegistry]:
        model = replace(compiled, bundle=bundle, life=ServedLives().open("drawn", bundle))
        registry = CollectorRegistry()
        registry.register(DriftGauges(OneModel(model)))  # type: ignore[arg-type]
        return model, registry

    return begin


def read(registry: CollectorRegistry, gauge: str, measure: str) -> float | None:
    return registry.get_sample_value(f"twofold_watch_{gauge}", {"model": "drawn", "measure": measure})


def test_quiet_images_raise_no_alarm_and_darker_ones_one_of_the_brightness(
    serve: Callable[[Bundle], tuple[ServedModel, CollectorRegistry]],
    bundle: Path,
    same: list[bytes],
    dark: list[bytes],
) -> None:
    model, registry = serve(load_bundle(bundle))
    assert [read(registry, "wealth", measure) for measure in MEASURES] == [1] * 6
    model.predict_batch(same)
    assert [read(registry, "alarm", measure) for measure in MEASURES] == [0] * 6
    for start in range(0, len(dark), 8):
        model.predict_batch(dark[start : start + 8])
    assert read(registry, "alarm", "brightness") == 1
    wealth, limit = read(registry, "wealth", "brightness"), read(registry, "limit", "familiarity")
    assert wealth is not None
    assert wealth > 2667
    assert limit == pytest.approx(285.714, abs=0.001)
    assert registry.get_sample_value("twofold_watch_images", {"model": "drawn"}) == 96


def test_the_service_says_what_watch_says_of_the_same_images(
    serve: Callable[[Bundle], tuple[ServedModel, CollectorRegistry]],
    bundle: Path,
    dark: list[bytes],
    runtime: Runtime,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"{number:02}.png" for number in range(len(dark))]
    for path, data in zip(paths, dark, strict=True):
        path.write_bytes(data)
    model, _ = serve(load_bundle(bundle))
    for start in range(0, len(dark), 5):
        model.predict_batch(dark[start : start + 5])
    assert model.life is not None
    assert model.life.readings == Watch(load_bundle(bundle)).follow(paths, runtime).readings


def test_an_image_that_is_asked_again_a_training_image_and_a_read_error_do_not_count(
    serve: Callable[[Bundle], tuple[ServedModel, CollectorRegistry]], bundle: Path, drawn: Path, same: list[bytes]
) -> None:
    model, registry = serve(load_bundle(bundle))
    model.predict_batch([same[0]])
    wealth = read(registry, "wealth", "logit")
    model.predict_batch([same[0]] * 9)
    model.predict_batch([next(drawn.glob("*/*")).read_bytes(), b"no image"])
    assert read(registry, "wealth", "logit") == wealth
    assert registry.get_sample_value("twofold_watch_images", {"model": "drawn"}) == 1


def test_pixels_in_memory_have_no_bytes_per_pixel(
    serve: Callable[[Bundle], tuple[ServedModel, CollectorRegistry]], bundle: Path, same: list[bytes]
) -> None:
    model, registry = serve(load_bundle(bundle))
    model.predict_batch([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in same])
    assert read(registry, "wealth", "bytes per pixel") == 1
    assert read(registry, "wealth", "brightness") != 1


def test_the_slim_form_is_watched_as_the_whole_bundle(
    serve: Callable[[Bundle], tuple[ServedModel, CollectorRegistry]], bundle: Path, dark: list[bytes], tmp_path: Path
) -> None:
    write_slim_bundle(load_bundle(bundle), tmp_path / "slim.twofold", force=False)
    readings = []
    for path in (bundle, tmp_path / "slim.twofold"):
        model, _ = serve(load_bundle(path))
        model.predict_batch(dark)
        assert model.life is not None
        readings.append(model.life.readings)
    assert readings[0] == readings[1]
