"""Models by name, and bundles that are replaced while they are served."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.core.errors import UsageError
from twofold.embedding import Runtime
from twofold.serving.model_repository import ModelRepository, name_bundles


@pytest.fixture
def place(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "drawn.twofold"))


@pytest.fixture
def stricter(bundle: Path, tmp_path: Path) -> Path:
    """The same model with another threshold."""
    path = tmp_path / "stricter.twofold"
    assert main(["decide", str(bundle), "--threshold", "0.9", "--out", str(path), "--quiet"]) == 0
    return path


def open_repository(place: Path, runtime: Runtime) -> ModelRepository:
    repository = ModelRepository({"drawn": place}, runtime)
    repository.load()
    repository.warm()
    return repository


def replace(place: Path, other: Path) -> None:
    copy = Path(shutil.copytree(other, place.with_name("next")))
    shutil.rmtree(place)
    copy.rename(place)


def test_a_bundle_that_is_replaced_is_loaded_once(place: Path, stricter: Path, runtime: Runtime) -> None:
    repository = open_repository(place, runtime)
    first = repository.get("drawn")
    assert first is not None
    assert repository.refresh() == []
    replace(place, stricter)
    (reload,) = repository.refresh()
    second = repository.get("drawn")
    assert reload.model is second
    assert second is not None
    assert second.version == str(load_bundle(stricter).record["sha256"])[:16] != first.version
    assert second.bundle.model.rule.low == 0.9
    assert repository.refresh() == []


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_a_damaged_bundle_leaves_the_old_model_in_place_and_is_told_once(
    place: Path, stricter: Path, runtime: Runtime, name: str
) -> None:
    repository = open_repository(place, runtime)
    first = repository.get("drawn")
    (stricter / name).write_bytes((stricter / name).read_bytes()[:100])
    replace(place, stricter)
    (reload,) = repository.refresh()
    assert reload.model is None
    assert "drawn.twofold" in reload.error
    assert repository.get("drawn") is first
    assert repository.refresh() == []


def test_a_bundle_that_is_removed_leaves_the_old_model_until_another_one_comes(
    place: Path, stricter: Path, runtime: Runtime
) -> None:
    repository = open_repository(place, runtime)
    first = repository.get("drawn")
    shutil.rmtree(place)
    assert [reload.model for reload in repository.refresh()] == [None]
    assert repository.get("drawn") is first
    stricter.rename(place)
    assert [reload.model for reload in repository.refresh()] == [repository.get("drawn")]
    assert repository.get("drawn") is not first


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["a/pets.twofold", "b/pets.twofold"], "Two bundles have the name pets"),
        (["my pets.twofold"], "cannot be the name of a model"),
        (["=pets.twofold"], "cannot be the name of a model"),
    ],
)
def test_names_must_be_different_and_fit_into_an_address(words: Sequence[str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        name_bundles(words)


def test_an_equals_sign_within_a_path_is_no_name() -> None:
    assert name_bundles(["runs/lr=1/pets.twofold"]) == {"pets": Path("runs/lr=1/pets.twofold")}
