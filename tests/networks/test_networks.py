"""The built-in networks give the features of an independent implementation, with the published weights."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from papers import features, reference
from PIL import Image
from runs import as_backbone, model_inputs, run

from twofold.core.errors import BackboneError
from twofold.core.options import BackboneOptions, FeatureSet
from twofold.networks import load_backbone
from twofold.networks.architectures import ARCHITECTURES
from twofold.networks.graph import build_graph
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights

LITES = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def expected(name: str, weights: Path, pixels: np.ndarray, content: FeatureSet = "filters") -> np.ndarray:
    network = reference(name)
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.inference_mode():
        maps, last = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
        return features(maps, last, content).numpy()


@pytest.mark.parametrize("name", LITES)
def test_efficientnet_lite_equals_the_published_network(
    name: str, images: list[bytes | Image.Image], tmp_path: Path
) -> None:
    backbone = load_backbone(BackboneOptions(backbone=name), "f32", cache=tmp_path)
    pixels = model_inputs(images, backbone.preprocessing.size)
    weights = find_weights(ARCHITECTURES[name].source, cache=tmp_path)
    assert np.allclose(run(backbone, pixels), expected(name, weights, pixels), **CLOSE)


@pytest.mark.parametrize("size", [160, 97])
def test_mobilenetv2_equals_the_published_network(
    size: int, mobilenetv2: Path, images: list[bytes | Image.Image], tmp_path: Path
) -> None:
    options = BackboneOptions(backbone="mobilenetv2", weights=mobilenetv2, size=size)
    pixels = model_inputs(images, size)
    actual = run(load_backbone(options, "f32", cache=tmp_path), pixels)
    assert np.allclose(actual, expected("mobilenetv2", mobilenetv2, pixels), **CLOSE)


@pytest.mark.parametrize(
    ("name", "features", "size"),
    [("mobilenetv2", "filters", 96), ("mobilenetv2", "last", 97), ("efficientnet-lite0", "stages", 97)],
)
def test_random_weights_give_equal_features(
    name: str, features: FeatureSet, size: int, images: list[bytes | Image.Image], tmp_path: Path
) -> None:
    weights = random_weights(name, tmp_path)
    pixels = model_inputs(images, size)
    graph = build_graph(ARCHITECTURES[name], read_weights(weights), size=size, features=features).SerializeToString()
    actual = run(as_backbone(graph, size), pixels)
    assert np.allclose(actual, expected(name, weights, pixels, features), **CLOSE)


@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_equal_options_give_equal_graphs(dtype: str, tmp_path: Path) -> None:
    graphs = [load_backbone(BackboneOptions(), dtype, cache=tmp_path) for _ in range(2)]
    assert len({hashlib.sha256(backbone.graph).digest() for backbone in graphs}) == 1
    assert graphs[0].identity == graphs[1].identity


def test_options_that_change_features_change_the_identity(tmp_path: Path) -> None:
    options = [
        BackboneOptions(),
        BackboneOptions(size=160),
        BackboneOptions(features="last"),
        BackboneOptions(features="stages"),
        BackboneOptions(crop_mode="pad"),
        BackboneOptions(filter="bicubic"),
    ]
    backbones = [load_backbone(option, "f32", cache=tmp_path) for option in options]
    backbones += [load_backbone(BackboneOptions(), dtype, cache=tmp_path) for dtype in ("bf16", "int8")]
    assert len({backbone.identity for backbone in backbones}) == 8


def test_weights_of_another_network_raise_an_error(tmp_path: Path) -> None:
    source = ARCHITECTURES["efficientnet-lite1"].source
    options = BackboneOptions(backbone="mobilenetv2", weights=find_weights(source, cache=tmp_path))
    with pytest.raises(BackboneError, match="expected b03531047ffa… .mobilenet_v2"):
        load_backbone(options, "f32", cache=tmp_path)


def random_weights(name: str, folder: Path) -> Path:
    """Random weights as a PyTorch file of the format before version 1.6, without trivial batch norms."""
    network = reference(name)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.7)
    path = folder / f"{name}.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    return path
