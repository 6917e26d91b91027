"""Pictures that stand on both sides: among those that a model was trained on, and among those that it is tested on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.notes import Note
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import FingerprintIndex, Kind, find_in_index
from twofold.evaluation import Evaluation, with_positive

TRAINED_ON: Final = "leakage"


@dataclass(frozen=True, slots=True)
class LeakedImage:
    """A picture, and the path of the other that it is a copy of."""

    path: str
    other: str
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Leakage:
    """Test pictures that were trained on; `without` is the evaluation on the others, None where there are none."""

    found: tuple[LeakedImage, ...] = field(repr=False)
    without: Evaluation | None

    def as_json(self) -> dict[str, Any]:
        """The block "leakage", where there is anything to tell."""
        if not self.found:
            return {}
        others = None if self.without is None else self.without.as_json()
        return {"leakage": {"images": [asdict(leak) for leak in self.found], "test_unseen": others}}

    def headline(self, evaluation: Evaluation) -> tuple[str, Evaluation]:
        """What a test is judged by, with its name: the pictures that were not trained on, where any were and others are left."""
        if self.without is not None:
            return "test (unseen)", self.without
        return "test (inflated)" if self.found else "test", evaluation

    def with_positive(self, positive: str) -> "Leakage":
        """The same with this class as the positive one."""
        return replace(self, without=None if self.without is None else with_positive(positive, self.without))

    def notes(self) -> list[Note]:
        if not self.found:
            return []
        unseen = 'use the column "test (unseen)"'
        advice = unseen if self.without is not None else "no other test image is left, so test on other images"
        text = (
            f"{len(self.found)} test images duplicate training images ({self.found[0].path} = {self.found[0].other}). Scores "
            f"on them are inflated: {advice}."
        )
        return [Note(TRAINED_ON, text)]


def find_leakage(tested: LabelledDataset, trained_on: FingerprintIndex) -> dict[int, LeakedImage]:
    """The test pictures that count and were trained on, by their items of the listing.

    All commands ask here, and what a network sees plays no part, so that all have the same answer.
    """
    items, (paths, fingerprints) = tested.table.used[tested.agreed].tolist(), tested.learned
    duplicates = find_in_index(fingerprints, trained_on)
    return {
        items[copy.first]: LeakedImage(paths[copy.first], trained_on.paths[copy.second], copy.kind)
        for copy in duplicates
    }


def measure_leakage(
    model: Model, sample: LabelledDataset, leakage: Mapping[int, LeakedImage], rows: NDArray[np.intp] | None = None
) -> Leakage:
    """The leaks of a test sample, by its items, and what the model does on the rest.

    Its usable `rows` count; by default all but conflicts.
    """
    rows = np.flatnonzero(sample.agreed) if rows is None else rows
    items = sample.table.used[rows]
    found = tuple(leakage[item] for item in items.tolist() if item in leakage)
    unseen = rows[~np.isin(items, list(leakage))]
    return Leakage(found, model.evaluate(sample, unseen) if found and len(unseen) else None)
