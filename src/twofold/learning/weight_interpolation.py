"""Weights between the frozen and the fine-tuned network (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

A network fine-tuned on few images is often worse than one half-way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.notes import Note
from twofold.decision import fit_calibration
from twofold.networks.modules.network import Network

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)

Logits = NDArray[np.float64]
StateDict = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class WeightInterpolation:
    """A point between the weights of two networks: `fraction` is 0 for the frozen and 1 for the fine-tuned network.

    `losses` has the validation log-loss after calibration for each fraction that was evaluated. `standard_error` is the
    standard error of the difference between the best of them and the frozen network; where the gain is smaller, `fraction` is 0.
    """

    fraction: float
    losses: dict[float, float]
    standard_error: float

    def as_json(self) -> dict[str, Any]:
        losses = [{"fraction": fraction, "log_loss": loss} for fraction, loss in self.losses.items()]
        return {"fraction": self.fraction, "validation": losses, "standard_error": self.standard_error}

    def note(self) -> Note:
        frozen, (best, loss) = self.losses[0.0], min(self.losses.items(), key=lambda item: item[1])
        if self.fraction:
            return Note(
                "fine-tuned",
                f"The weights are interpolated, {self.fraction:.0%} of the way from the frozen to the fine-tuned network, where "
                f"the validation log-loss is lowest: {loss:.4f} (frozen network: {frozen:.4f}).",
            )
        text = f"did not lower the validation log-loss: {frozen:.4f} for the frozen network is the lowest"
        if best:
            text = (
                f"did not lower the validation log-loss significantly: {loss:.4f} at best, with "
                f"{best:.0%} fine-tuned weights, and {frozen:.4f} for the frozen network (standard error of the difference: "
                f"{self.standard_error:.4f})"
            )
        return Note(
            "not-better", f"Fine-tuning {text}. The model is the frozen network with a head fitted on all images."
        )


def choose_interpolation(
    network: Network, start: StateDict, labels: NDArray[np.int8], score: Callable[[Network], Logits]
) -> WeightInterpolation:
    """The fraction with the lowest validation log-loss; afterwards the network has its weights.

    `start` are the weights before fine-tuning; `score` gives the logits (n,) of the validation images, whose `labels` (n,) are
    0 or 1.
    """
    end = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {}
    for fraction in FRACTIONS:
        network.load_state_dict(_interpolate(start, end, fraction))
        losses[fraction] = _calibrated_losses(score(network), labels)
    means = {fraction: float(values.mean()) for fraction, values in losses.items()}
    best = min(means, key=lambda fraction: (means[fraction], fraction))
    gains = losses[0.0] - losses[best]
    standard_error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    fraction = best if gains.mean() > standard_error else 0.0
    network.load_state_dict(_interpolate(start, end, fraction))
    return WeightInterpolation(fraction, means, standard_error)


def _interpolate(start: StateDict, end: StateDict, fraction: float) -> StateDict:
    """The interpolated weights. Integers, such as the batch counts of batch norm, are taken from `end`."""
    return {
        name: start[name].lerp(value, fraction) if value.is_floating_point() else value for name, value in end.items()
    }


def _calibrated_losses(logits: Logits, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """The log-loss of each image after a calibration fitted on all of them, (n,)."""
    probabilities = fit_calibration(logits, labels).probabilities(logits)
    return -np.log(np.where(labels == 1, probabilities, 1 - probabilities))
