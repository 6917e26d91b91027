"""How far a fine-tuned network goes from the frozen one."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small import network
from torch import Tensor

from twofold.learning.weight_interpolation import SHARES, choose_interpolation
from twofold.networks.modules.network import Network

RANDOM = np.random.default_rng(0)
LABELS = np.arange(400, dtype=np.int8) % 2
# Two numbers a picture that both tell a little of its class: their sum tells more than each.
TELLING = torch.tensor(np.where(LABELS, 1.0, -1.0)[:, None] + RANDOM.normal(0, 1.5, (400, 2)), dtype=torch.float32)


def reading(first: float, second: float) -> Network:
    """Its head adds up the two numbers with these weights."""
    made = network(norm=True)
    with torch.no_grad():
        made.head.weight.zero_()
        made.head.weight[0, :2] = torch.tensor([first, second])
        made.head.bias.zero_()
    return made


def score(read: Network) -> NDArray[np.float64]:
    return (TELLING @ read.head.weight[0, :2]).detach().double().numpy()


def weights(of: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.state_dict().items()}


def test_half_way_is_chosen_where_half_way_is_best() -> None:
    start, learned = weights(reading(2.0, 0.0)), reading(0.0, 2.0)
    learned.state_dict()["body.maps.1.num_batches_tracked"].fill_(7)
    way = choose_interpolation(learned, start, LABELS, score)
    assert way.fraction == 0.5
    assert min(way.losses, key=lambda fraction: way.losses[fraction]) == 0.5
    assert learned.head.weight[0, :2].tolist() == [1.0, 1.0]
    assert learned.state_dict()["body.maps.1.num_batches_tracked"] == 7
    assert way.note().code == "fine-tuned"
    assert "50% of the way" in way.note().text


def test_losses_are_those_after_calibration() -> None:
    """The scale of logits is nothing that could speak for a network."""
    way = choose_interpolation(reading(0.0, 200.0), weights(reading(0.0, 0.02)), LABELS, score)
    assert list(way.losses.values()) == pytest.approx([way.losses[0.0]] * len(SHARES), abs=1e-6)
    assert way.fraction == 0.0


def test_a_gain_within_its_standard_error_leaves_the_network_as_it_was() -> None:
    start, learned = weights(reading(1.0, 1.0)), reading(0.9, 1.1)
    way = choose_interpolation(learned, start, LABELS, score)
    assert way.fraction == 0.0
    assert 0 < way.losses[0.0] - min(way.losses.values()) <= way.error
    for name, value in learned.state_dict().items():
        assert torch.equal(value, start[name]), name
    assert "no more than noise" in way.note().text


def test_a_network_that_learned_nonsense_is_left_as_it_was() -> None:
    learned = reading(-1.0, 1.0)
    way = choose_interpolation(learned, weights(reading(1.0, 1.0)), LABELS, score)
    assert way.fraction == 0.0
    assert learned.head.weight[0, :2].tolist() == [1.0, 1.0]
    assert way.note().code == "not-better"
    assert "gained nothing" in way.note().text
