"""Weights between those that learning began with and those that it found, as Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", have them: a network that learned from few pictures is often worse than one half-way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.notes import Note
from twofold.decision import fit_calibration
from twofold.networks.modules.network import Network

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

Logits = NDArray[np.float64]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class WeightInterpolation:
    """How far to go from the frozen network, a `share` of 0, to the fine-tuned one, 1.

    `losses` has the validation part's log-loss, after calibration, for every share that was tried. `error` is the standard error
    of the difference between the best of them and the frozen network; with less of a gain than that, `share` is 0.
    """

    fraction: float
    losses: dict[float, float]
    error: float

    def as_json(self) -> dict[str, Any]:
        tried = [{"share": fraction, "log_loss": loss} for fraction, loss in self.losses.items()]
        return {"share": self.fraction, "validation": tried, "standard_error": self.error}

    def note(self) -> Note:
        frozen, (best, loss) = self.losses[0.0], min(self.losses.items(), key=lambda item: item[1])
        if self.fraction:
            return Note(
                "fine-tuned",
                f"The weights are {self.fraction:.0%} of the way from the frozen network to the fine-tuned one, where the "
                f"validation log-loss is lowest: {loss:.4f}, against {frozen:.4f} of the frozen one.",
            )
        gained = f"nothing: the validation log-loss is lowest for the frozen network, {frozen:.4f}"
        if best:
            gained = (
                f"no more than noise: the validation log-loss is {loss:.4f} at best, {best:.0%} of the way, and {frozen:.4f} of "
                f"the frozen network (standard error of the difference {self.error:.4f})"
            )
        return Note("not-better", f"Fine-tuning gained {gained}. So that was kept, with a head fitted on all pictures.")


def choose_interpolation(
    network: Network, start: Weights, labels: NDArray[np.int8], score: Callable[[Network], Logits]
) -> WeightInterpolation:
    """The share whose weights, which the network has afterwards, `score` the validation part best.

    `start` are the weights that learning began with; `labels` (n,) are 0 or 1, as `score` gives logits (n,).
    """
    end = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {}
    for fraction in SHARES:
        network.load_state_dict(_between(start, end, fraction))
        losses[fraction] = _losses(score(network), labels)
    means = {fraction: float(each.mean()) for fraction, each in losses.items()}
    best = min(means, key=lambda fraction: (means[fraction], fraction))
    gains = losses[0.0] - losses[best]
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    fraction = best if gains.mean() > error else 0.0
    network.load_state_dict(_between(start, end, fraction))
    return WeightInterpolation(fraction, means, error)


def _between(start: Weights, end: Weights, fraction: float) -> Weights:
    """Counts, as batch norms keep them, are those of the end."""
    return {
        name: start[name].lerp(value, fraction) if value.is_floating_point() else value for name, value in end.items()
    }


def _losses(logits: Logits, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """The log-loss of every picture after calibration by all of them."""
    probabilities = fit_calibration(logits, labels).probabilities(logits)
    return -np.log(np.where(labels == 1, probabilities, 1 - probabilities))
