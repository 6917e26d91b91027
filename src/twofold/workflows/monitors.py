"""Monitors: what `watch` measures of each image, and the test martingale that bets on each measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from twofold.audit.metadata_features import image_traits
from twofold.bundle.format import checksum
from twofold.bundle.score_quantiles import ScoreQuantiles
from twofold.bundle.storage import Bundle
from twofold.core.arrays import take_rows
from twofold.core.errors import BundleError
from twofold.core.notes import Note
from twofold.dataset.labelled import LabelledDataset
from twofold.decision.martingale import Bets, prevalence_bets, shift_bets
from twofold.decision.rank_urn import MIN_VALUES, RankUrn, fit_urn

FALSE_ALARM: Final = 0.01
"""The probability that any monitor ever raises a false alarm."""

TRAITS: Final = ("brightness", "sharpness", "pixels", "bytes per pixel")
SHARES: Final = {"familiarity": 0.35, "logit": 0.5, **dict.fromkeys(TRAITS, 0.0375)}
"""The part of that probability which each monitor may use. A change of the prevalence is the hardest to find."""


@dataclass(frozen=True, slots=True, eq=False)
class Monitor:
    """A measure of each image by `name`, the urn of its reference values, and the bets against them."""

    name: str
    urn: RankUrn = field(repr=False)
    bets: Bets = field(repr=False)

    @property
    def limit(self) -> float:
        """The wealth at which there is an alarm."""
        return 1 / (FALSE_ALARM * SHARES[self.name])


def monitors_of(bundle: Bundle, scores: ScoreQuantiles) -> tuple[tuple[Monitor, ...], tuple[Note, ...]]:
    """The monitors for a bundle with these quantiles of its scores, and notes on those that it cannot have.

    Raises BundleError where there are no monitors, and where the traits in bundle.json cannot be used.
    """
    known = scores.familiarity if bundle.model.familiarity is not None else None
    urns = {"familiarity": known, "logit": scores.logit, **dict.fromkeys(TRAITS), **_stored_urns(bundle)}
    # No bets on the shape of the logits: the reference is out-of-fold, and the logits of a head from all images are larger.
    bets = {name: shift_bets() for name in urns} | {"logit": prevalence_bets(scores.prevalence)}
    monitors = tuple(Monitor(name, urn, bets[name]) for name, urn in urns.items() if urn is not None)
    if not monitors:
        raise BundleError(
            f"{bundle.path} cannot be watched: it was trained on fewer than {MIN_VALUES} groups of images; train it on more."
        )
    return monitors, tuple(_notes({name for name, urn in urns.items() if urn is None}))


def identity_of(bundle: Bundle, monitors: Sequence[Monitor]) -> str:
    """A SHA-256 of all that measures and monitors depend on: the same for a bundle with another rule, and for its slim form."""
    return checksum(
        {
            "backbone": bundle.record["backbone"],
            "head": bundle.record["head"],
            "monitors": {each.name: [each.urn.as_json(), each.bets.densities.tolist()] for each in monitors},
        }
    )


def trait_urns(dataset: LabelledDataset) -> dict[str, RankUrn]:
    """The urns of the traits of a dataset's valid images; none where these are too few."""
    usable = [entry for entry in dataset.table.metadata if entry is not None]
    rows = np.flatnonzero(dataset.valid)
    traits = image_traits([usable[row] for row in rows.tolist()], take_rows(dataset.table.thumbnails, rows))
    urns = {name: fit_urn(values, dataset.groups[rows]) for name, values in traits.items()}
    return {name: urn for name, urn in urns.items() if urn is not None}


def _stored_urns(bundle: Bundle) -> dict[str, RankUrn]:
    stored: Any = bundle.record.get("traits", {})
    try:
        return {name: RankUrn.from_json(stored[name]) for name in TRAITS if name in _mapping(stored)}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"The traits in {bundle.path / 'bundle.json'} cannot be used: {error}.") from error


def _mapping(plain: Any) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise TypeError("they are no object")
    return plain


def _notes(missing: set[str]) -> list[Note]:
    notes = []
    if missing & {"familiarity", "logit"}:
        text = f"The {' and the '.join(sorted(missing & {'familiarity', 'logit'}))} cannot be watched: "
        text += f"the bundle has no values, or those of fewer than {MIN_VALUES} groups of images."
        notes.append(Note("not-watched", text))
    if missing & set(TRAITS):
        names = [name for name in TRAITS if name in missing]
        text = f"The bundle does not know {', '.join(names)} of its training images, so it cannot say whether they changed: "
        text += "train it again with this version of twofold."
        notes.append(Note("unknown-traits", text))
    return notes
