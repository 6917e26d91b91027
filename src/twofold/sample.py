"""A sample: pictures of known class, observed, with the fate of every file that was met."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.data import LedgerRow, Listing, Note, check_counts, check_same_classes, copy_groups, list_pictures
from twofold.embedding import Engine, Machine, Source, Table
from twofold.options import DataOptions


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """`table` has a row for every item of `listing`; what follows has one for every usable picture, in that order."""

    listing: Listing
    table: Table
    classes: tuple[str, str]  # (negative, positive)

    @property
    def paths(self) -> list[str]:
        return [str(self.listing.items[row].path) for row in self.table.used]

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 for the positive class, (used,)."""
        return np.array([self.listing.items[row].label == self.classes[1] for row in self.table.used], np.int8)

    @property
    def groups(self) -> NDArray[np.int64]:
        """Equal for copies (same bytes or same pixels) and for pictures that DATA says belong together, (used,)."""
        facts = [facts for facts in self.table.facts if facts is not None]
        given = [self.listing.items[row].group for row in self.table.used]
        return copy_groups([(seen.sha256, seen.pixels) for seen in facts], given)

    @property
    def counts(self) -> dict[str, int]:
        """Usable pictures of each class, in alphabetical order."""
        positive = int(self.labels.sum())
        return dict(sorted(zip(self.classes, (len(self.labels) - positive, positive), strict=True)))

    def check_counts(self, minimum: int) -> None:
        """DataError where a class has fewer usable pictures, with the reasons of those that are not."""
        rows = zip(self.listing.items, self.table.refusals, strict=True)
        check_counts(self.counts, minimum, refused=[f"{item.path}: {why.sentence}" for item, why in rows if why])

    def as_json(self) -> dict[str, Any]:
        """The block "data"."""
        images, used = len(self.listing.items) + len(self.listing.skips), len(self.table.vectors)
        named = {"classes": sorted(self.classes), "positive": self.classes[1], "counts": self.counts}
        return {"images": images, "used": used, "skipped": images - used, **named}

    def notes(self) -> list[Note]:
        """What was assumed, skipped or corrected."""
        return [*self.listing.notes, *self._refused(), *self._copies()]

    def _refused(self) -> list[Note]:
        codes = Counter(refusal.code for refusal in self.table.refusals if refusal is not None)
        told = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
        text = f"Left out as no usable pictures: {told}. The ledger names each."
        return [Note("files-refused", text)] if told else []

    def _copies(self) -> list[Note]:
        pixels = [facts.pixels for facts in self.table.facts if facts is not None]
        copies = len(pixels) - len(set(pixels))
        text = f"Copies of other pictures, by their bytes or pixels: {copies}. All that are alike stay in one fold."
        return [Note("copies", text)] if copies else []

    def ledger(self) -> list[LedgerRow]:
        """One row for every path met, sorted by path."""
        groups = iter(self.groups)
        rows = [LedgerRow(str(skip.path), "", "skipped", skip.code) for skip in self.listing.skips]
        for item, facts, refusal in zip(self.listing.items, self.table.facts, self.table.refusals, strict=True):
            if refusal is not None:
                rows.append(LedgerRow(str(item.path), item.label, "skipped", refusal.code))
            elif facts is not None:
                size = (facts.width, facts.height, facts.format, facts.bytes, facts.sha256)
                rows.append(LedgerRow(str(item.path), item.label, "used", "", *size, int(next(groups))))
        return sorted(rows, key=lambda row: row.path)


def list_for(classes: tuple[str, str], data: Path, options: DataOptions) -> Listing:
    """The pictures of DATA for a model of these (negative, positive) classes; DataError where DATA has others."""
    listing = list_pictures(data, options)
    check_same_classes(classes, listing.classes)
    return replace(listing, positive=classes[1])


def observe_listing(
    listing: Listing, sources: Sequence[Source], engine: Engine, machine: Machine, *, what: str
) -> Sample:
    """The pictures of a listing, which are in `sources`, one for each item, observed."""
    table = machine.observe(sources, engine, what=what)
    return Sample(listing, table, listing.ordered)
