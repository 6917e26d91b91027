"""Labelled pictures -> what is wrong with them, without a model being made."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.audit import LEAST, Against, Audit, audit_sample, folds_of, judge_amount, look_for_shortcuts
from twofold.clock import Clock
from twofold.copies import known
from twofold.data import (
    Item,
    Listing,
    Note,
    Ranges,
    find_table,
    is_archive,
    list_files,
    list_pictures,
    read_split,
    read_table,
    walk,
)
from twofold.decision import fit_head
from twofold.embedding import Arithmetic, Backbone, Machine, Source, Table, load_backbone, offered_precisions, ranged
from twofold.errors import DataError, UsageError
from twofold.leaks import find_leaks
from twofold.options import BackboneOptions, DataOptions, DecisionOptions
from twofold.precision import starting_precision
from twofold.sample import Sample, list_for, tabled

Observe = Callable[[Sequence[Source], str], Table]


@dataclass(frozen=True, slots=True, eq=False)
class Auditing:
    """An audit, and what it took."""

    audit: Audit
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The blocks that `audit --json` prints."""
        return {
            "data": self.audit.sample.as_json(),
            **self.audit.as_json(),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def audit(
    data: Path,
    picture: DataOptions,
    network: BackboneOptions,
    decision: DecisionOptions,
    machine: Machine,
    *,
    against: Path | None = None,
    quick: bool = False,
) -> Auditing:
    """What is wrong with the labelled pictures of DATA, and which of them are `against`, too.

    With `quick` no network looks at them: labels are not judged, and cropped or slightly turned copies are not found.
    Raises DataError where DATA does not hold two classes of pictures.
    """
    clock = Clock()
    listing = list_pictures(data, picture)
    others = None if against is None else _others(against, listing, picture)
    with clock("embed"):
        ranges, range_notes = machine.ranges([item.path for item in listing.items])
    observe = _without_network(machine, ranges) if quick else _with_network(network, machine, ranges)
    with clock("embed"):
        table = observe([item.path for item in listing.items], "pictures")
        theirs = None if others is None else observe([item.path for item in others.items], "others")
    with clock("copies"):
        sample = tabled(listing, table)
        common = None if others is None or theirs is None else _common(sample, others, theirs)
    with clock("labels"):
        found = _judged(sample, decision, common)
    notes = (*range_notes, *found.notes(), *_refused(others, theirs), *machine.notes)
    return Auditing(found, clock.seconds(), notes)


def load_frozen(options: BackboneOptions, precision: Arithmetic, machine: Machine) -> Backbone:
    """The network as it is, built in or from elsewhere."""
    from twofold.learning.hub.backbones import hub_backbone, is_hub

    load = hub_backbone if is_hub(options.backbone) else load_backbone
    return load(options, precision, cache=machine.folder, watch=machine.watch)


def _with_network(options: BackboneOptions, machine: Machine, ranges: Ranges) -> Observe:
    precision = starting_precision(options, offered_precisions(options.backbone))
    engine = machine.engine(ranged(load_frozen(options, precision, machine), ranges))
    return lambda sources, what: machine.observe(sources, engine, what=what)


def _without_network(machine: Machine, ranges: Ranges) -> Observe:
    return lambda sources, what: machine.examine(sources, ranges, what=what)


def _others(against: Path, listing: Listing, options: DataOptions) -> Listing:
    """The pictures of OTHER as they would be tested on; where it has other classes or none, all of them, as they come."""
    try:
        return list_for(listing.ordered, against, options)
    except (DataError, UsageError):
        paths = _pictures(against)
    items = tuple(Item(path, listing.positive) for path in paths)  # of one class there are no conflicts
    return Listing(items, (), listing.classes, listing.positive, ())


def _pictures(against: Path) -> list[Path]:
    """The pictures of OTHER, whatever their classes; a list of them is read as one."""
    if table := find_table(against):
        file, split = table
        return [path for path, *_ in (read_split(file, split) if split else read_table(file))]
    if not (against.exists() or is_archive(against)):
        raise DataError(f"There is no {against}: check the path.")
    files = [met for met in walk(against) if isinstance(met, Path)] if is_archive(against) else list_files([against])
    if not files or files == [against]:
        raise DataError(f"{against} holds no pictures: name a folder, an archive or a CSV file with path,label.")
    return files


def _common(sample: Sample, others: Listing, theirs: Table) -> Against:
    other = Sample(others, theirs, others.ordered, ())
    own = find_leaks(sample, known(*other.learned))
    return Against(tuple(own.values()), tuple(find_leaks(other, known(*sample.learned)).values()))


def _refused(others: Listing | None, theirs: Table | None) -> list[Note]:
    counts = Counter(refusal.code for refusal in (theirs.refusals if theirs else ()) if refusal is not None)
    told = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))
    text = f"Some files given with --against are no usable pictures, and nothing was compared with them: {told}."
    skipped = [replace(note, text=f"--against: {note.text}") for note in (others.notes if others else ())]
    return [*skipped, *([Note("against-refused", text)] if told else [])]


def _judged(sample: Sample, options: DecisionOptions, against: Against | None) -> Audit:
    """With suspects and what more pictures would bring, where there are vectors and enough pictures to fit a head on."""
    rows = np.flatnonzero(sample.agreed)
    if min(sample.counts.values()) < LEAST:
        return Audit(sample, rows, None, None, against=against)
    if not sample.table.vectors.size:
        return Audit(sample, rows, None, look_for_shortcuts(sample, options), against=against)
    parts = folds_of(sample, rows, options)
    if parts is None:
        return Audit(sample, rows, None, None, against=against)
    vectors, labels = sample.table.vectors[rows], sample.labels[rows]
    head = fit_head(vectors, labels, parts)
    enough = judge_amount(vectors, labels, parts, head.logits, head.strength, sample.classes)
    return audit_sample(sample, rows, head.logits, options, enough=enough, against=against)
