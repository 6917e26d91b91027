"""Two networks as one, `A+B`: the features of both, one after the other."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.drawings import draw
from twofold.core.errors import UsageError
from twofold.core.options import BackboneOptions
from twofold.embedding import Runtime
from twofold.networks import Backbone, check_network, load_backbone, offered_dtypes

IMAGES = [draw("bars", 0), draw("rings", 1)]


@pytest.fixture(scope="module")
def large_tiny(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny network for images of any size, with another opset than the built-in ones."""
    model = onnx.load(tiny_file)
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_param = "side"
    model.opset_import[0].version = 13
    path = tmp_path_factory.mktemp("large") / "large.onnx"
    onnx.save(model, path)
    return str(path)


def features(backbone: Backbone, runtime: Runtime) -> np.ndarray:
    return runtime.embed(IMAGES, runtime.engine(backbone)).features


def test_the_features_of_a_pair_are_those_of_both(
    lite0: dict[str, Backbone], large_tiny: str, runtime: Runtime, tmp_path: Path
) -> None:
    options = BackboneOptions(f"efficientnet-lite0+{large_tiny}", size=96)
    pair = load_backbone(options, "f32", cache=tmp_path)
    second_options = BackboneOptions(large_tiny, size=96, crop_mode="center", filter="bilinear")
    second = load_backbone(second_options, "f32", cache=tmp_path)
    assert pair.preprocessing == lite0["f32"].preprocessing
    parts = np.hstack([features(lite0["f32"], runtime), features(second, runtime)])
    assert np.allclose(features(pair, runtime), parts, rtol=1e-5, atol=1e-5)
    assert check_network(pair.graph, 96) == parts.shape[1]


def test_the_order_of_a_pair_is_the_order_of_its_features(large_tiny: str, runtime: Runtime, tmp_path: Path) -> None:
    first, second = (
        load_backbone(BackboneOptions(name, size=96, filter="bilinear"), "f32", cache=tmp_path)
        for name in (f"{large_tiny}+efficientnet-lite0", f"efficientnet-lite0+{large_tiny}")
    )
    assert np.allclose(features(first, runtime)[:, 6:], features(second, runtime)[:, :-6], rtol=1e-5, atol=1e-5)


def test_a_pair_has_the_dtypes_of_both() -> None:
    assert offered_dtypes("efficientnet-lite0+efficientnet-lite0") == ("int8", "bf16", "f32")
    assert offered_dtypes("efficientnet-lite0+net.onnx") == ("bf16", "f32")


def test_networks_of_different_sizes_are_refused(tiny_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes images of 16 pixels, not `size` 224"):
        load_backbone(BackboneOptions(f"efficientnet-lite0+{tiny_file}"), "f32", cache=tmp_path)


def test_an_option_of_one_network_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    options = BackboneOptions(f"efficientnet-lite0+{tiny_file}", mean=(0.0, 0.0, 0.0))
    with pytest.raises(UsageError, match="`mean` cannot be used with two networks"):
        load_backbone(options, "f32", cache=tmp_path)


def test_a_file_with_a_plus_in_its_name_is_one_network(tiny_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "a+b.onnx"
    file.write_bytes(tiny_file.read_bytes())
    assert load_backbone(BackboneOptions(str(file)), "f32", cache=tmp_path).name == "a+b.onnx"
