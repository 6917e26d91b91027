"""What the tests of the networks share."""

import subprocess
from pathlib import Path

import pytest
from drawings import draw
from PIL import Image

from twofold.embedding.architectures import ARCHITECTURES

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def pictures() -> list[bytes | Image.Image]:
    """Two drawn pictures; where the shared photographs lie beside the project, two of them as well."""
    photographs = [SHARED / "cats-dogs" / "train" / name for name in ("cats/cat.0.jpg", "dogs/dog.0.jpg")]
    drawn = [draw("bars", 0, 300), draw("rings", 0, 300)]
    return [*drawn, *(path.read_bytes() for path in photographs if path.exists())]


@pytest.fixture(scope="session")
def mobilenetv2(pytestconfig: pytest.Config) -> Path:
    """The published weights of MobileNetV2, fetched once."""
    script = SHARED / "get-mobilenetv2"
    if not script.exists():
        pytest.skip(
            "the published weights of MobileNetV2 are not here; random ones stand in for them in the other tests"
        )
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("weights")
    subprocess.run([script, folder], check=True, capture_output=True)
    return folder / ARCHITECTURES["mobilenetv2"].source.file
