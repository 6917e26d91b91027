"""What several tests share."""

from pathlib import Path

import pytest
from drawings import draw_folder

from twofold.embedding import Machine
from twofold.options import TrainingOptions
from twofold.saving import save
from twofold.training import Training, train


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 pictures of bars and 20 of rings, for reading only."""
    return draw_folder(tmp_path_factory.mktemp("drawn") / "pictures", 20)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine that remembers in a folder of its own."""
    return Machine(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def training(drawn: Path, machine: Machine) -> Training:
    """A training on the drawn pictures, tested on others."""
    other = draw_folder(drawn.parent / "other", 10, start=50)
    return train(drawn, TrainingOptions(), machine, test=other)


@pytest.fixture(scope="session")
def bundle(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, for reading only."""
    path = tmp_path_factory.mktemp("bundles") / "drawn.twofold"
    save(training, path, command=["twofold", "train"])
    return path
