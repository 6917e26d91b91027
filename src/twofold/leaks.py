"""Pictures that stand on both sides: among those that a model was trained on, and among those that it is tested on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.copies import Copy, Kind
from twofold.data import Note
from twofold.evaluation import Evaluation
from twofold.model import Model
from twofold.sample import Sample

TRAINED_ON: Final = "trained-on"


@dataclass(frozen=True, slots=True)
class Leak:
    """A picture, and the path of the other that it is a copy of."""

    path: str
    other: str
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Leaks:
    """Test pictures that were trained on; `without` is the evaluation on the others, None where these are not of both classes."""

    found: tuple[Leak, ...] = field(repr=False)
    without: Evaluation | None

    def as_json(self) -> dict[str, Any]:
        """The block "trained_on", where there is anything to tell."""
        if not self.found:
            return {}
        others = None if self.without is None else self.without.as_json()
        return {"trained_on": {"pictures": [asdict(leak) for leak in self.found], "without": others}}

    def notes(self) -> list[Note]:
        if not self.found:
            return []
        advice = "test on others" if self.without is None else "believe the numbers of the others"
        text = (
            f"{len(self.found)} test pictures were trained on, such as {self.found[0].path} ({self.found[0].other}), and their "
            f"answers may be learned by heart: {advice}."
        )
        return [Note(TRAINED_ON, text)]


def named(sample: Sample, copies: Sequence[Copy], others: Sequence[str]) -> tuple[Leak, ...]:
    """The copies by their paths."""
    paths = sample.paths
    return tuple(Leak(paths[copy.first], others[copy.second], copy.kind) for copy in copies)


def leaks_of(
    model: Model,
    sample: Sample,
    copies: Sequence[Copy],
    others: Sequence[str],
    rows: NDArray[np.intp] | None = None,
) -> Leaks:
    """The leaks of a test sample, whose `copies` among the pictures trained on, at the paths `others`, are known.

    Its usable `rows` count; by default all but conflicts.
    """
    found = named(sample, copies, others)
    rows = np.flatnonzero(sample.agreed) if rows is None else rows
    rows = np.setdiff1d(rows, [copy.first for copy in copies]).astype(np.intp)
    both = len(set(sample.labels[rows].tolist())) == 2
    return Leaks(found, model.evaluate(sample, rows) if found and both else None)
