"""The table of observations: a row for every source, a vector for every usable one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.data import SMALL, Refusal
from twofold.embedding.observation import Facts, Observation


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`facts` and `refusals` have a row for every source, and one of the two is set; `vectors` (used, d) and `thumbnails`
    (used, SMALL, SMALL, 3) have the usable rows."""

    facts: tuple[Facts | None, ...] = field(repr=False)
    refusals: tuple[Refusal | None, ...] = field(repr=False)
    vectors: NDArray[np.float32] = field(repr=False)
    thumbnails: NDArray[np.uint8] = field(repr=False)

    @property
    def used(self) -> NDArray[np.intp]:
        """Rows that have a vector, (used,)."""
        return np.array([row for row, facts in enumerate(self.facts) if facts is not None], dtype=np.intp)


def tabulate(observations: Iterable[Observation], count: int) -> Table:
    """The table of a stream of `count` observations; holds one copy of the vectors, however many."""
    facts: list[Facts | None] = []
    refusals: list[Refusal | None] = []
    vectors, filled = np.empty((0, 0), np.float32), 0
    thumbnails = np.empty((count, SMALL, SMALL, 3), np.uint8)
    for seen in observations:
        facts.append(seen.facts)
        refusals.append(seen.refusal)
        if seen.vector is not None and seen.thumbnail is not None:
            if filled == 0:
                vectors = np.empty((count, seen.vector.size), np.float32)
            vectors[filled], thumbnails[filled] = seen.vector, seen.thumbnail
            filled += 1
    return Table(tuple(facts), tuple(refusals), vectors[:filled], thumbnails[:filled])
