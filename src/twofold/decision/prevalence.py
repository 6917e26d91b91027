"""Another prevalence: probabilities and confusion matrices where the fraction of positives is not that of the labelled images.

Images of each class look as before, only their numbers differ ("label shift").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels
from twofold.decision.confusion import ConfusionMatrix


def change_prevalence(probabilities: NDArray[np.float64], current: float, new: float) -> NDArray[np.float64]:
    """Probabilities that hold at the prevalence `current`, restated for `new`: their odds change as those of the prevalence.

    Saerens, Latinne and Decaestecker 2002, equation 2.4. Values outside of [0, 1] stay, as a threshold that nothing reaches.

    >>> change_prevalence(np.array([0.0, 0.5, 1.0]), 0.5, 0.1).round(3).tolist()
    [0.0, 0.1, 1.0]
    """
    if current == new:
        return probabilities
    ratio = new / (1 - new) * (1 - current) / current
    changed = ratio * probabilities / (1 - probabilities + ratio * probabilities)
    return np.where((probabilities >= 0) & (probabilities <= 1), changed, probabilities)


@dataclass(frozen=True, slots=True)
class ClassWeights:
    """Weights of negative and positive images with which labelled images have an assumed prevalence."""

    negative: float = 1.0
    positive: float = 1.0

    @classmethod
    def for_prevalence(cls, labels: Labels, prevalence: float | None) -> "ClassWeights":
        """The weights for labels (n,); None is the prevalence of the labels, with weights of 1."""
        fraction = float(np.mean(labels == 1))
        if prevalence is None or not 0 < fraction < 1:
            return cls()
        return cls((1 - prevalence) / (1 - fraction), prevalence / fraction)

    def of(self, labels: Labels) -> NDArray[np.float64]:
        """The weight of each image, (n,)."""
        return np.where(labels == 1, self.positive, self.negative)

    def confusion(self, c: ConfusionMatrix) -> ConfusionMatrix:
        """The matrix with weighted cells, of the same shape."""
        positive, negative = self.positive, self.negative
        return ConfusionMatrix(tn=negative * c.tn, fp=negative * c.fp, fn=positive * c.fn, tp=positive * c.tp)
