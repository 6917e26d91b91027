"""What several tests share."""

import signal
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from drawings import draw, draw_folder
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from twofold.core.options import BackboneOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.networks import Backbone, load_backbone
from twofold.networks.architectures import ARCHITECTURES
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    # A shell starts jobs in the background with Ctrl-C ignored, and the processes of tests would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chromium", help="path of a Chromium for tests of pages; default: the one on PATH")
    parser.addoption("--firefox", help="path of a Firefox for tests of pages; default: firefox-esr on PATH")
    parser.addoption(
        "--axe", help="path of axe.min.js, which checks accessibility; default: that of axe-playwright-python"
    )


@pytest.fixture(scope="session")
def images() -> list[bytes | Image.Image]:
    """Two drawn images; where the shared photographs lie beside the project, two of them as well."""
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


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of a network of one convolution on squares of 16: quick, and different for different images."""
    weight = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["conv"], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["output"]),
    ]
    entry = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 16, 16])
    leave = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 6, 1, 1])
    graph = helper.make_graph(nodes, "tiny", [entry], [leave], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def tiny(tiny_file: Path) -> Backbone:
    """The same as a backbone."""
    return load_backbone(BackboneOptions(backbone=str(tiny_file)), "f32", cache=tiny_file.parent)


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A network whose features are the mean red, green and blue of squares of 16, from 0 to 255."""
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "weight")
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["output"]),
    ]
    entry = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 16, 16])
    leave = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, 1, 1])
    graph = helper.make_graph(nodes, "linear", [entry], [leave], [weight])
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    options = BackboneOptions(backbone=str(path), mean=(0, 0, 0), std=(1, 1, 1), crop_mode="squash")
    return load_backbone(options, "f32", cache=path.parent)


@pytest.fixture(scope="session")
def maximum(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """The same network with the maximum of each channel as its features."""
    model = onnx.load(tiny_file)
    model.graph.node[-1].op_type = "GlobalMaxPool"
    model.graph.node.append(helper.make_node("Flatten", ["output"], ["flat"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["n", 6]))
    path = tmp_path_factory.mktemp("maximum") / "maximum.onnx"
    onnx.save(model, path)
    return load_backbone(BackboneOptions(backbone=str(path), output="flat"), "f32", cache=path.parent)


@pytest.fixture(scope="session")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Backbone]:
    """The default network at a small size, in every arithmetic."""
    cache, options = tmp_path_factory.mktemp("lite0"), BackboneOptions(size=96)
    return {dtype: load_backbone(options, dtype, cache=cache) for dtype in ("f32", "bf16", "int8")}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 images of bars and 20 of rings, for reading only."""
    return draw_folder(tmp_path_factory.mktemp("drawn") / "images", 20)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """A machine that remembers in a folder of its own."""
    return Runtime(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def training(drawn: Path, runtime: Runtime) -> TrainingResult:
    """A training on the drawn images, tested on others."""
    other = draw_folder(drawn.parent / "other", 10, start=50)
    return train(drawn, TrainingOptions(), runtime, test=other)


@pytest.fixture(scope="session")
def bundle(training: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, for reading only."""
    path = tmp_path_factory.mktemp("bundles") / "drawn.twofold"
    save(training, path, command=["twofold", "train"])
    return path
