"""A service of the drawn bundle."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawings import draw

from twofold.embedding import Runtime
from twofold.serving.model_repository import ModelRepository

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from service_process import LIMITS, RunningService, running_service


def png(pattern: str = "rings", number: int = 70, side: int = 64) -> bytes:
    file = io.BytesIO()
    draw(pattern, number, side).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def image() -> bytes:
    """Rings, which the model has not met."""
    return png()


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Bars and rings in turns."""
    return [png(("bars", "rings")[number % 2], 80 + number) for number in range(6)]


@pytest.fixture(scope="session")
def repository(bundle: Path, runtime: Runtime) -> ModelRepository:
    """The drawn bundle, compiled."""
    repository = ModelRepository({"drawn": bundle}, runtime)
    repository.load()
    repository.warm()
    return repository


@pytest.fixture(scope="session")
def service(repository: ModelRepository) -> Iterator[RunningService]:
    """Its service."""
    with running_service(repository, LIMITS) as running:
        yield running
