"""The last pooling is found among the features of any network."""

from typing import Any, get_args

import pytest

from twofold.core.options import FeatureSet
from twofold.networks import Backbone, last_pooling
from twofold.networks.architectures import ARCHITECTURES
from twofold.networks.last_pooling import count_features
from twofold.networks.modules.builtin import Body


@pytest.mark.parametrize(
    ("name", "features", "width", "expected"),
    [
        ("efficientnet-lite0", "filters", 6544, ((5264, 6544),)),
        ("efficientnet-lite0", "last", 1280, ((0, 1280),)),
        ("efficientnet-lite0, fine-tuned", "stages", 2848, ((1568, 2848),)),
        ("net.onnx", "last", 768, ((0, 768),)),
        ("classic CNN", "filters", 64, ((0, 64),)),
        ("efficientnet-lite0+net.onnx", "last", 1280 + 768, ((0, 1280), (1280, 2048))),
        ("net.onnx+efficientnet-lite0", "filters", 768 + 6544, ((0, 768), (768 + 5264, 768 + 6544))),
        ("a.onnx+b.onnx", "last", 1000, ((0, 1000),)),
        ("efficientnet-lite0+net.onnx", "filters", 100, ((0, 100),)),
    ],
)
def test_the_last_pooling_of_each_network(name: str, features: FeatureSet, width: int, expected: Any) -> None:
    assert last_pooling(name, features, width) == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("features", get_args(FeatureSet))
def test_the_number_of_features_is_that_of_the_network(name: str, features: FeatureSet) -> None:
    assert count_features(ARCHITECTURES[name], features) == Body(ARCHITECTURES[name], features).width


def test_the_default_network_has_as_many(lite0: dict[str, Backbone]) -> None:
    assert count_features(ARCHITECTURES["efficientnet-lite0"], lite0["f32"].features) == 6544
