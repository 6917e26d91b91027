"""The classic network, layer by layer."""

import torch
from torch import nn

from twofold.networks.modules.classic import ClassicBody
from twofold.networks.modules.network import Network


def test_the_parameter_count_is_that_of_the_keras_network() -> None:
    """Counted by hand as in Keras's summary. At 200 pixels the last map is 10 x 10."""
    convolutions = (3 * 9 + 1) * 128 + (128 * 9 + 1) * 64 + 2 * (64 * 9 + 1) * 64
    dense = (64 * 10 * 10 + 1) * 512 + 2 * (512 + 1) * 512 + (512 + 1)
    norms = 2 * (128 + 64 + 3 * 512)
    network = Network(ClassicBody(200), 512, (0.0,) * 3, (255.0,) * 3)
    assert sum(parameter.numel() for parameter in network.parameters()) == convolutions + dense + norms


def test_layers_are_in_the_order_of_the_published_network() -> None:
    body = ClassicBody(64)
    kinds = [type(layer).__name__ for layer in (*body.maps, *body.dense)]
    unit = ["Conv2d", "MaxPool2d", "ReLU"]  # the published network has ReLU first, with the same result
    assert kinds == [
        *("Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU", *unit, *unit, *unit, "BatchNorm2d", "Flatten"),
        *("Linear", "ReLU", "BatchNorm1d"),
        *("Linear", "ReLU", "Dropout", "BatchNorm1d"),
        *("Linear", "ReLU", "Dropout", "BatchNorm1d"),
    ]
    assert [layer.p for layer in body.dense if isinstance(layer, nn.Dropout)] == [0.1, 0.2]


def test_the_penalty_is_on_the_last_convolution() -> None:
    body = ClassicBody(48)
    with torch.no_grad():
        body.penalised.weight.fill_(-0.1)
    count = 64 * 64 * 9
    assert abs(body.penalty().item() - (1e-5 * 0.1 + 1e-4 * 0.01) * count) < 1e-4


def test_an_image_becomes_512_features_and_a_map() -> None:
    features, feature_map = ClassicBody(64).eval()(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, 512)
    assert feature_map is not None
    assert feature_map.shape == (2, 64, 2, 2)
