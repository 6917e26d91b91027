"""The built-in networks as torch modules are the ONNX graphs, and stay so while they are trained."""

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
from twofold.networks.modules.builtin import Body, builtin_body, trained_weights
from twofold.networks.modules.network import Network
from twofold.networks.torch_file import Weights, read_weights
from twofold.networks.weights import find_weights

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
LITE0 = ARCHITECTURES["efficientnet-lite0"]


def published(table: Architecture) -> Weights:
    """The weights of its package; random ones of MobileNetV2, which has none."""
    if table.source.package is not None:
        return read_weights(find_weights(table.source, cache=Path()))
    network = reference(table.name)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def pixels(size: int, count: int = 4) -> NDArray[np.uint8]:
    """Noise, but for the first picture, which is of one colour."""
    drawn = np.random.default_rng(size).integers(0, 256, (count, size, size, 3), np.uint8)
    drawn[0] = 77
    return drawn


def network(body: Body) -> Network:
    torch.manual_seed(0)
    return Network(body, body.width, body.table.mean, body.table.std)


def seen(body: Body, model_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return network(body).eval().seen(torch.from_numpy(model_inputs).permute(0, 3, 1, 2).float())[0].numpy()


def in_onnx(body: Body, model_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    size = model_inputs.shape[1]
    graph = build_graph(body.table, trained_weights(body), size=size, features=body.features)
    return run(as_backbone(graph.SerializeToString(), size), model_inputs)


def train(body: Body, steps: int = 3) -> None:
    """Some steps at a rate that changes every weight and every running mean clearly."""
    learned = network(body).train()
    optimizer = torch.optim.AdamW(learned.parameters(), 1e-3)
    images, labels = torch.from_numpy(pixels(96)).permute(0, 3, 1, 2).float(), torch.tensor([0.0, 1.0, 0.0, 1.0])
    for _ in range(steps):
        torch.nn.functional.binary_cross_entropy_with_logits(learned(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("name", "features", "size"),
    [
        ("efficientnet-lite0", "stages", 96),
        ("efficientnet-lite0", "last", 97),  # an odd side is padded evenly, an even one is not
        ("efficientnet-lite1", "stages", 130),
        ("efficientnet-lite2", "stages", 98),
        ("mobilenetv2", "stages", 97),
        ("mobilenetv2", "last", 96),
    ],
)
def test_the_module_gives_the_vectors_of_the_graph(name: str, features: FeatureSet, size: int) -> None:
    body = builtin_body(ARCHITECTURES[name], published(ARCHITECTURES[name]), features)
    model_inputs = pixels(size)
    expected = in_onnx(body, model_inputs)
    assert expected.shape == (4, body.width)
    assert np.allclose(seen(body, model_inputs), expected, **CLOSE)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenetv2"])
def test_it_still_does_after_training(name: str) -> None:
    weights = published(ARCHITECTURES[name])
    body = builtin_body(ARCHITECTURES[name], weights, "stages")
    train(body)
    learned = trained_weights(body)
    assert all(np.abs(learned[key] - weights[key]).max() > 1e-5 for key in learned)
    model_inputs = pixels(96)
    assert np.allclose(seen(body, model_inputs), in_onnx(body, model_inputs), **CLOSE)


def test_weights_come_out_as_they_went_in() -> None:
    weights = published(LITE0)
    came = trained_weights(builtin_body(LITE0, weights, "stages"))
    assert set(weights) - set(came) == {"_fc.weight", "_fc.bias"}  # ImageNet's classes
    assert all(np.array_equal(came[key], weights[key]) for key in came)


def test_training_leaves_the_weights_that_were_read_alone() -> None:
    weights = published(LITE0)
    before = {key: values.copy() for key, values in weights.items()}
    train(builtin_body(LITE0, weights, "stages"), steps=1)
    assert all(np.array_equal(before[key], weights[key]) for key in weights)


def test_maps_without_deviation_have_a_finite_gradient() -> None:
    body = builtin_body(LITE0, published(LITE0), "stages")
    torch.nn.init.zeros_(body.stages[0][0].project.norm.weight)  # the first stage is even, whatever the picture
    body.train()(torch.randn(2, 3, 96, 96))[0].sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in body.parameters())


def test_parameters_stand_from_input_to_output() -> None:
    assert [name for name, _ in builtin_body(LITE0, published(LITE0), "last").named_children()] == [
        "stem",
        "stages",
        "last",
    ]
