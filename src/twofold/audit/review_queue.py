"""The review queue: images ranked by what a look is worth, and random draws in between."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates import Duplicate

Reason = Literal[
    "conflict", "other-label", "label-error", "leak", "unfamiliar", "borderline", "duplicate", "ranked", "random"
]

RANDOM_EVERY: Final = 10  # one in ten images shown is drawn at random from all

# What a look is worth: about the probability that it changes a label or the use of an image.
_CONFLICT: Final = 1.0  # one of two labels is wrong, and neither image is used
_OTHER_LABEL: Final = 0.5  # two near duplicates with different labels
_LEAK: Final = 0.3
_UNFAMILIAR: Final = 0.15
_DUPLICATE: Final = 0.04
_BORDERLINE: Final = 0.04  # at the threshold; 0 where the probability is sure


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An image of the queue: its usable row, why it is shown, what a look is worth, and the other image of a pair."""

    row: int
    reason: Reason
    worth: float
    other: int | None = None


def review_queue(
    labels: NDArray[np.int8],
    valid: NDArray[np.bool_],
    duplicates: Sequence[Duplicate],
    p_label_error: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    threshold: float,
    *,
    familiarity: NDArray[np.floating] | None = None,
    least_familiarity: float = 0.0,
    leaked: Iterable[int] = (),
    listed_from: float = 0.05,
) -> list[ReviewItem]:
    """All usable images, the one that is most worth a look first, each with its best reason.

    `labels`, `valid` and `duplicates` are those of a labelled dataset. `p_label_error`, `probabilities` and `familiarity` are
    (used,), NaN where they are unknown; `leaked` are rows whose images are also in the test set.
    """
    p_wrong = np.nan_to_num(np.asarray(p_label_error, np.float64))
    best = {
        row: ReviewItem(row, "label-error" if p >= listed_from else "ranked", p)
        for row, p in enumerate(p_wrong.tolist())
    }
    unsure = 1 - np.abs(np.asarray(probabilities) - threshold) / np.maximum(threshold, 1 - threshold)
    rows = np.flatnonzero(unsure > 0.5).tolist()
    further = [ReviewItem(row, "borderline", _BORDERLINE * float(unsure[row])) for row in rows]
    if familiarity is not None:
        further += [
            ReviewItem(int(row), "unfamiliar", _UNFAMILIAR) for row in np.flatnonzero(familiarity < least_familiarity)
        ]
    further += [ReviewItem(row, "leak", _LEAK) for row in leaked]
    further += _pairs(labels, valid, duplicates, p_wrong)
    for item in further:
        if item.worth > best[item.row].worth:
            best[item.row] = item
    return sorted(best.values(), key=lambda item: (-item.worth, item.row))


def _pairs(
    labels: NDArray[np.int8],
    valid: NDArray[np.bool_],
    duplicates: Sequence[Duplicate],
    p_wrong: NDArray[np.float64],
) -> list[ReviewItem]:
    """The images of pairs: label conflicts, duplicates with different labels, and the later of other duplicates."""
    items: list[ReviewItem] = []
    for pair in duplicates:
        both = ((pair.first, pair.second), (pair.second, pair.first))
        if pair.kind in ("exact", "pixels"):
            if not (valid[pair.first] and valid[pair.second]):
                items += [ReviewItem(row, "conflict", _CONFLICT, other) for row, other in both]
        elif labels[pair.first] != labels[pair.second]:
            items += [
                ReviewItem(row, "other-label", max(_OTHER_LABEL, float(p_wrong[row])), other) for row, other in both
            ]
        else:
            items.append(ReviewItem(pair.second, "duplicate", _DUPLICATE, pair.first))
    return items


def random_order(hashes: Sequence[str], seed: int) -> list[int]:
    """The rows in a random order that depends on the seed and the contents only: for all processes the same, and after a
    restart, or when labels change."""
    return sorted(range(len(hashes)), key=lambda row: hashlib.sha256(f"{seed} {hashes[row]}".encode()).digest())


def upcoming(
    ranked: Sequence[ReviewItem],
    order: Sequence[int],
    checked: Mapping[int, object],
    count: int,
    *,
    random_only: bool = False,
) -> list[ReviewItem]:
    """The next `count` images that are not checked: every tenth is the next one of the random `order`, the others are ranked.

    `checked` has the rows that were answered; their number says which places are random.
    """
    by_rank = (item for item in ranked if item.row not in checked)
    by_chance = (row for row in order if row not in checked)
    items: dict[int, ReviewItem] = {}
    place = len(checked)
    while len(items) < count:
        is_random = random_only or place % RANDOM_EVERY == RANDOM_EVERY - 1
        if is_random:
            item = next((ReviewItem(row, "random", 0.0) for row in by_chance if row not in items), None)
        else:
            item = next((item for item in by_rank if item.row not in items), None)
        if item is None:
            break
        items[item.row] = item
        place += 1
    return list(items.values())
