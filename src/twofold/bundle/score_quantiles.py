"""Quantiles of the scores of the training images: what new scores are ranked among, also where a bundle holds no scores."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from twofold.bundle.scores import ScoreTable
from twofold.bundle.storage import Bundle
from twofold.core.errors import BundleError
from twofold.decision.rank_urn import RankUrn, fit_urn


@dataclass(frozen=True, slots=True, eq=False)
class ScoreQuantiles:
    """Urns of familiarity and logit, None for too few groups of images, and the fraction of positives among the scores."""

    familiarity: RankUrn | None = field(repr=False)
    logit: RankUrn | None = field(repr=False)
    prevalence: float

    def as_json(self) -> dict[str, Any]:
        """{"familiarity", "logit", "prevalence"}."""
        urns = {"familiarity": self.familiarity, "logit": self.logit}
        return {name: urn and urn.as_json() for name, urn in urns.items()} | {"prevalence": self.prevalence}

    @classmethod
    def from_json(cls, plain: Any) -> Self:
        """The quantiles of `as_json`. Raises ValueError, TypeError or KeyError where they cannot be some."""
        prevalence = float(plain["prevalence"])
        if not 0 < prevalence < 1:
            raise ValueError("the prevalence must be in (0, 1)")
        return cls(_urn(plain["familiarity"]), _urn(plain["logit"]), prevalence)


def _urn(plain: Any) -> RankUrn | None:
    return None if plain is None else RankUrn.from_json(plain)


def fit_quantiles(scores: ScoreTable) -> ScoreQuantiles:
    """The quantiles of a table."""
    familiarity, logit = (fit_urn(values, scores.groups) for values in (scores.familiarity, scores.logits))
    return ScoreQuantiles(familiarity, logit, float(np.mean(scores.labels == 1)))


def score_quantiles(bundle: Bundle) -> ScoreQuantiles:
    """The quantiles of a bundle: of its scores, or those that its slim form has instead.

    Raises BundleError where it has neither, or where they cannot be used.
    """
    if (bundle.path / "scores.csv").exists():
        return fit_quantiles(bundle.scores())
    stored = bundle.record.get("score_quantiles")
    if stored is None:
        raise BundleError(
            f"{bundle.path} cannot be watched: it holds neither scores.csv nor quantiles of the scores, as a bundle that an "
            "earlier version exported; use the whole bundle, or export that again."
        )
    try:
        return ScoreQuantiles.from_json(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"The quantiles in {bundle.path / 'bundle.json'} cannot be used: {error}.") from error
