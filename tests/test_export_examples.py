"""The programs in examples/export run, where their toolchain is, and give the decision of the bundle."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from exports import tiny_bundle

from twofold.core.options import ExportOptions
from twofold.embedding import Runtime
from twofold.networks import Backbone
from twofold.workflows.model_export import export
from twofold.workflows.predict import Predictor

EXAMPLES = Path(__file__).parents[1] / "examples" / "export"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn image, alone in its folder; its pixels beside that."""
    path = tmp_path_factory.mktemp("one") / "images" / "ring.png"
    path.parent.mkdir()
    picture = draw("rings", 3, 50).crop((0, 0, 50, 40))
    picture.save(path)
    (path.parents[1] / "pixels.rgb").write_bytes(np.asarray(picture).tobytes())
    return path


@pytest.fixture(scope="module")
def exported(tiny: Backbone, image: Path) -> tuple[Path, int, str]:
    """An exported model, and the decision and the probability of its bundle for that image."""
    bundle, out = tiny_bundle(tiny, crop_mode="squash"), image.parents[1] / "out"
    export(bundle, "onnx", out, ExportOptions(sample=1), Runtime(image.parents[1]), data=image.parent, force=False)
    (prediction,) = Predictor(bundle.model).predict([image])
    return out / "model.onnx", bundle.model.classes.index(str(prediction.label)), f"{prediction.probability:.4f}"


def run(words: list[object], image: Path) -> str:
    with (image.parents[1] / "pixels.rgb").open("rb") as pixels:
        done = subprocess.run([*map(str, words)], stdin=pixels, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_in_python_reads_files(exported: tuple[Path, int, str], image: Path) -> None:
    model, decision, probability = exported
    path, label, value = run([sys.executable, EXAMPLES / "predict.py", model, image], image).strip().split(",")
    assert (path, label) == (str(image), ("bars", "rings")[decision])
    assert f"{float(value):.4f}" == probability


def test_the_example_in_javascript_reads_pixels(exported: tuple[Path, int, str], image: Path) -> None:
    node = shutil.which("node")
    if node is None or not any((folder / "node_modules" / "onnxruntime-web").is_dir() for folder in EXAMPLES.parents):
        pytest.skip("node or onnxruntime-web is not here: npm install onnxruntime-web, in the folder of the repository")
    model, decision, probability = exported
    printed = run([node, EXAMPLES / "predict.mjs", model, 40, 50], image).strip().split(",")
    assert (int(printed[0]), f"{float(printed[1]):.4f}") == (decision, probability)


def test_the_example_in_cpp_reads_pixels(exported: tuple[Path, int, str], image: Path, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    header = "#include <onnxruntime_cxx_api.h>\n"
    if (
        compiler is None
        or subprocess.run(
            [compiler, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"], input=header.encode(), capture_output=True
        ).returncode
    ):
        pytest.skip(
            "g++ or the headers of ONNX Runtime are not here: set CPLUS_INCLUDE_PATH, LIBRARY_PATH and LD_LIBRARY_PATH"
        )
    command = [compiler, "-std=c++17", EXAMPLES / "predict.cpp", "-lonnxruntime", "-o", tmp_path / "predict"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    model, decision, probability = exported
    printed = run([tmp_path / "predict", model, 40, 50], image).strip().split(",")
    assert (int(printed[0]), f"{float(printed[1]):.4f}") == (decision, probability)
