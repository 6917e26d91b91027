"""The built-in networks as PyTorch modules equal the ONNX graphs, before and after training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from papers import reference
from runs import as_backbone, run

from twofold.core.options import FeatureSet
from twofold.networks.architectures import ARCHITECTURES, Architecture
from twofold.networks.graph import build_graph
from twofold.networks.modules.builtin import Body, make_builtin_body, trained_weights
from twofold.networks.modules.network import Network
from twofold.networks.torch_file import WeightArrays, read_weights
from twofold.networks.weights import find_weights

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
LITE0 = ARCHITECTURES["efficientnet-lite0"]


def published(architecture: Architecture) -> WeightArrays:
    """The packaged weights; random ones for MobileNetV2, which has no package."""
    if architecture.source.package is not None:
        return read_weights(find_weights(architecture.source, cache=Path()))
    network = reference(architecture.name)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def pixels(size: int, count: int = 4) -> NDArray[np.uint8]:
    """Noise images, except for the first, which has one colour."""
    images = np.random.default_rng(size).integers(0, 256, (count, size, size, 3), np.uint8)
    images[0] = 77
    return images


def network(body: Body) -> Network:
    torch.manual_seed(0)
    return Network(body, body.width, body.architecture.mean, body.architecture.std)


def torch_features(body: Body, model_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return network(body).eval().embed(torch.from_numpy(model_inputs).permute(0, 3, 1, 2).float())[0].numpy()


def onnx_features(body: Body, model_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    size = model_inputs.shape[1]
    graph = build_graph(body.architecture, trained_weights(body), size=size, features=body.features)
    return run(as_backbone(graph.SerializeToString(), size), model_inputs)


def train(body: Body, steps: int = 3) -> None:
    """A few steps, at a learning rate that clearly changes every weight and every running mean."""
    trainable = network(body).train()
    optimizer = torch.optim.AdamW(trainable.parameters(), 1e-3)
    images, labels = torch.from_numpy(pixels(96)).permute(0, 3, 1, 2).float(), torch.tensor([0.0, 1.0, 0.0, 1.0])
    for _ in range(steps):
        torch.nn.functional.binary_cross_entropy_with_logits(trainable(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("name", "features", "size"),
    [
        ("efficientnet-lite0", "filters", 96),
        ("efficientnet-lite0", "last", 97),  # an odd size is padded symmetrically, an even one is not
        ("efficientnet-lite1", "filters", 130),
        ("efficientnet-lite2", "stages", 98),
        ("mobilenetv2", "filters", 97),
        ("mobilenetv2", "last", 96),
    ],
)
def test_the_module_gives_the_features_of_the_graph(name: str, features: FeatureSet, size: int) -> None:
    body = make_builtin_body(ARCHITECTURES[name], published(ARCHITECTURES[name]), features)
    model_inputs = pixels(size)
    expected = onnx_features(body, model_inputs)
    assert expected.shape == (4, body.width)
    assert np.allclose(torch_features(body, model_inputs), expected, **CLOSE)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenetv2"])
def test_a_trained_module_gives_the_features_of_its_graph(name: str) -> None:
    weights = published(ARCHITECTURES[name])
    body = make_builtin_body(ARCHITECTURES[name], weights, "filters")
    train(body)
    trained = trained_weights(body)
    assert all(np.abs(trained[key] - weights[key]).max() > 1e-5 for key in trained)
    model_inputs = pixels(96)
    assert np.allclose(torch_features(body, model_inputs), onnx_features(body, model_inputs), **CLOSE)


def test_untrained_weights_are_returned_unchanged() -> None:
    weights = published(LITE0)
    returned = trained_weights(make_builtin_body(LITE0, weights, "filters"))
    assert set(weights) - set(returned) == {"_fc.weight", "_fc.bias"}  # ImageNet's classes
    assert all(np.array_equal(returned[key], weights[key]) for key in returned)


def test_training_does_not_change_the_weights_that_were_read() -> None:
    weights = published(LITE0)
    before = {key: values.copy() for key, values in weights.items()}
    train(make_builtin_body(LITE0, weights, "filters"), steps=1)
    assert all(np.array_equal(before[key], weights[key]) for key in weights)


def test_constant_maps_have_a_finite_gradient() -> None:
    body = make_builtin_body(LITE0, published(LITE0), "filters")
    torch.nn.init.zeros_(
        body.stages[0][0].project.norm.weight
    )  # the output of the first stage is constant for every image
    body.train()(torch.randn(2, 3, 96, 96))[0].sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in body.parameters())


def test_children_are_in_forward_order() -> None:
    assert [name for name, _ in make_builtin_body(LITE0, published(LITE0), "last").named_children()] == [
        "stem",
        "stages",
        "last",
    ]
