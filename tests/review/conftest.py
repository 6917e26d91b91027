"""A review of mislabelled images."""

from pathlib import Path

import pytest

from twofold.bundle.storage import load_bundle
from twofold.data import DecisionsFile
from twofold.embedding import Runtime
from twofold.workflows.review import Review, ReviewImages, review_images

pytest.importorskip("starlette", reason="the extra `review` is not installed")
pytest.importorskip("httpx", reason="httpx is not installed: it is the client of these tests")

from desks import Desk, desk_of, draw_mislabelled, train_bundle


@pytest.fixture(scope="session")
def mislabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images, for reading only."""
    return draw_mislabelled(tmp_path_factory.mktemp("mislabelled") / "images")


@pytest.fixture(scope="session")
def mislabelled_bundle(mislabelled: Path, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was trained on them."""
    return train_bundle(mislabelled, tmp_path_factory.mktemp("review") / "drawn.twofold", runtime)


@pytest.fixture(scope="session")
def embedded(mislabelled_bundle: Path, runtime: Runtime) -> ReviewImages:
    """The images with their features and scores."""
    return review_images(load_bundle(mislabelled_bundle), None, runtime)


@pytest.fixture
def desk(embedded: ReviewImages, tmp_path: Path) -> Desk:
    """A review without decisions."""
    return desk_of(Review(embedded, DecisionsFile(tmp_path / "decisions.csv")))
