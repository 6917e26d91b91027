"""Weight interpolation between a frozen and a fine-tuned network."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small import network
from torch import Tensor

from twofold.learning.weight_interpolation import FRACTIONS, choose_interpolation
from twofold.networks.modules.network import Network

RANDOM = np.random.default_rng(0)
LABELS = np.arange(400, dtype=np.int8) % 2
# Two weak features per image: their sum separates the classes better than each.
FEATURES = torch.tensor(np.where(LABELS, 1.0, -1.0)[:, None] + RANDOM.normal(0, 1.5, (400, 2)), dtype=torch.float32)


def network_with_head(first: float, second: float) -> Network:
    """A network whose head has these weights for the two features."""
    result = network(norm=True)
    with torch.no_grad():
        result.head.weight.zero_()
        result.head.weight[0, :2] = torch.tensor([first, second])
        result.head.bias.zero_()
    return result


def score(scored: Network) -> NDArray[np.float64]:
    return (FEATURES @ scored.head.weight[0, :2]).detach().double().numpy()


def weights(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_half_of_the_way_is_chosen_where_it_is_best() -> None:
    start, tuned = weights(network_with_head(2.0, 0.0)), network_with_head(0.0, 2.0)
    tuned.state_dict()["body.maps.1.num_batches_tracked"].fill_(7)
    interpolation = choose_interpolation(tuned, start, LABELS, score)
    assert interpolation.fraction == 0.5
    assert min(interpolation.losses, key=lambda fraction: interpolation.losses[fraction]) == 0.5
    assert tuned.head.weight[0, :2].tolist() == [1.0, 1.0]
    assert tuned.state_dict()["body.maps.1.num_batches_tracked"] == 7
    assert interpolation.note().code == "fine-tuned"
    assert "50% of the way" in interpolation.note().text


def test_losses_are_compared_after_calibration() -> None:
    """The scale of the logits must not decide."""
    interpolation = choose_interpolation(
        network_with_head(0.0, 200.0), weights(network_with_head(0.0, 0.02)), LABELS, score
    )
    assert list(interpolation.losses.values()) == pytest.approx([interpolation.losses[0.0]] * len(FRACTIONS), abs=1e-6)
    assert interpolation.fraction == 0.0


def test_a_gain_within_its_standard_error_keeps_the_frozen_network() -> None:
    start, tuned = weights(network_with_head(1.0, 1.0)), network_with_head(0.9, 1.1)
    interpolation = choose_interpolation(tuned, start, LABELS, score)
    assert interpolation.fraction == 0.0
    assert 0 < interpolation.losses[0.0] - min(interpolation.losses.values()) <= interpolation.standard_error
    for name, value in tuned.state_dict().items():
        assert torch.equal(value, start[name]), name
    assert "not lower the validation log-loss significantly" in interpolation.note().text


def test_a_worse_network_is_replaced_by_the_frozen_one() -> None:
    tuned = network_with_head(-1.0, 1.0)
    interpolation = choose_interpolation(tuned, weights(network_with_head(1.0, 1.0)), LABELS, score)
    assert interpolation.fraction == 0.0
    assert tuned.head.weight[0, :2].tolist() == [1.0, 1.0]
    assert interpolation.note().code == "not-better"
    assert "for the frozen network is the lowest" in interpolation.note().text
