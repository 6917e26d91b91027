"""The fate of every path that was met, out of a sample and what was found in it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.copies import Copy, Kind
from twofold.data import LedgerRow
from twofold.sample import Sample

CONFLICT: Final = "conflict"  # skipped: DATA has the picture under both labels
SUSPECT: Final = "suspect"  # flagged: the rest of the data contradicts the label
OTHER_LABEL: Final = "near-copy-other-label"  # flagged: nearly the same picture has the other label
_COPY: Final[dict[Kind, str]] = {"bytes": "copy", "pixels": "copy", "near": "near-copy"}  # flagged

REASONS: Final = (CONFLICT, SUSPECT, OTHER_LABEL, "copy", "near-copy")
_CLOSEST: Final[tuple[Kind, ...]] = ("bytes", "pixels", "near")


def ledger(
    sample: Sample, suspicion: NDArray[np.floating] | None = None, listed: NDArray[np.int64] | None = None
) -> list[LedgerRow]:
    """One row for every path met, sorted by path; `suspicion` (used,) is NaN where unknown, `listed` has the rows of suspects."""
    rows = [LedgerRow(str(skip.path), "", "skipped", skip.code) for skip in sample.listing.skips]
    table, paths, groups, agreed = sample.table, sample.paths, sample.groups, sample.agreed
    reasons, partners = flags(sample), closest(sample)
    for row in listed if listed is not None else ():
        reasons[int(row)] = SUSPECT
    number = 0
    for item, facts, refusal in zip(sample.listing.items, table.facts, table.refusals, strict=True):
        if facts is None:
            rows.append(LedgerRow(str(item.path), item.label, "skipped", refusal.code if refusal else ""))
            continue
        known = (facts.width, facts.height, facts.format, facts.bytes, facts.sha256, int(groups[number]))
        reason = reasons.get(number, "") if agreed[number] else CONFLICT
        fate = "skipped" if reason == CONFLICT else "flagged" if reason else "used"
        nearest = paths[partners[number][0]] if number in partners else ""
        doubt = "" if suspicion is None or np.isnan(suspicion[number]) else f"{suspicion[number]:.4f}"
        rows.append(LedgerRow(str(item.path), item.label, fate, reason, *known, nearest, doubt))  # type: ignore[arg-type]
        number += 1
    return sorted(rows, key=lambda row: row.path)


def flags(sample: Sample) -> dict[int, str]:
    """Why usable pictures are flagged as copies: of two alike the second, or both where their labels differ."""
    labels, agreed, found = sample.labels, sample.agreed, {}
    for copy in sorted(sample.copies, key=lambda copy: -_CLOSEST.index(copy.kind)):
        if not (agreed[copy.first] and agreed[copy.second]):
            continue  # what stands under both labels says nothing of others
        if labels[copy.first] != labels[copy.second]:
            found[copy.first] = found[copy.second] = OTHER_LABEL
        elif found.get(copy.second) != OTHER_LABEL:
            found[copy.second] = _COPY[copy.kind]
    return found


def closest(sample: Sample) -> dict[int, tuple[int, Kind]]:
    """For each usable picture that has copies, the closest of them and its kind."""
    found: dict[int, tuple[int, Kind]] = {}
    for copy in sorted(sample.copies, key=lambda copy: _CLOSEST.index(copy.kind)):
        found.setdefault(copy.first, (copy.second, copy.kind))
        found.setdefault(copy.second, (copy.first, copy.kind))
    return found


def told(sample: Sample, copies: tuple[Copy, ...]) -> list[dict[str, object]]:
    """Copies for JSON: the later picture, the earlier one that it is a copy of, and whether their labels agree."""
    paths, labels = sample.paths, sample.labels
    return [
        {
            "path": paths[copy.second],
            "nearest": paths[copy.first],
            "kind": copy.kind,
            "labels_agree": bool(labels[copy.first] == labels[copy.second]),
        }
        for copy in copies
    ]
