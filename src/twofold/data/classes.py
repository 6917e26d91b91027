"""The two classes: which they are, which is positive, and whether there is enough of each."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from twofold.core.errors import DataError, UsageError
from twofold.core.hints import nearest
from twofold.core.options import DataOptions

_LISTED: Final = 20
_REFUSED: Final = 5


def choose_classes(
    counts: Mapping[str, int], options: DataOptions, place: str, loose: int = 0, wanted: Sequence[str] = ()
) -> tuple[str, str]:
    """The two classes of `place` in alphabetical order; `counts` gives the files of every class found there,
    `loose` those without a class, `wanted` the classes of the model that is to answer for them, if there is one."""
    if _some_of(counts, options, wanted):
        first, second = sorted(wanted)
        return first, second
    if options.classes is None and len(counts) != 2:
        raise DataError(_not_two(counts, place, loose, wanted))
    first, second = sorted(options.classes or counts)
    for name in (first, second):
        if name not in counts:
            raise DataError(f"{place} has no class {name!r}{nearest(name, counts)}; it has {listed(counts) or 'none'}.")
        if not counts[name]:
            raise DataError(f"The class {name!r} of {place} has no files that can be pictures: add some.")
    return first, second


def _some_of(counts: Mapping[str, int], options: DataOptions, wanted: Sequence[str]) -> bool:
    """Whether there are files to test the model on, and of no class but its own: one of the two will do."""
    chosen = [name for name in counts if options.classes is None or name in options.classes]
    return set(options.classes or wanted) == set(wanted) >= set(chosen) and any(counts[name] for name in chosen)


def choose_positive(classes: tuple[str, str], positive: str | None) -> str:
    """The class that counts as positive: the one asked for, or the second."""
    if positive is not None and positive not in classes:
        raise UsageError(f"`positive` must be {classes[0]!r} or {classes[1]!r}, got {positive!r}.")
    return positive or classes[1]


def check_counts(
    usable: Mapping[str, int],
    minimum: int,
    *,
    refused: Sequence[str] = (),
    both: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise a DataError if a class has fewer usable pictures than it takes; `refused` says why others are not, `both` names
    those of each class that stand under the other label, too."""
    short = [name for name, count in usable.items() if count < minimum]
    if short:
        told = " and ".join(f"{name!r} has {usable[name]}" for name in short)
        raise DataError(
            f"At least {minimum} usable pictures a class are needed, {told}: "
            f"{_what_to_do({name: (both or {}).get(name, ()) for name in short}, usable)}."
            + (f" Not usable ({len(refused)} files): {' '.join(refused[:_REFUSED])}" if refused else "")
        )


def check_same_classes(train: Sequence[str], test: Sequence[str]) -> None:
    """Raise a DataError if the classes of the test pictures are not those that the model was trained on."""
    if sorted(train) != sorted(test):
        raise DataError(
            f"The model knows the classes {' and '.join(map(repr, train))}, these pictures are of "
            f"{' and '.join(map(repr, test))}: rename the folders or labels, or choose two with `classes`."
        )


def listed(counts: Mapping[str, int]) -> str:
    """The classes with their numbers of files, the largest first."""
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    more = f" and {len(ranked) - _LISTED} more" if len(ranked) > _LISTED else ""
    return ", ".join(f"{name} ({counts[name]} files)" for name in ranked[:_LISTED]) + more


def _what_to_do(both: Mapping[str, Sequence[str]], usable: Mapping[str, int]) -> str:
    """Images that stand under both labels count for neither class, so that first their label is to be decided."""
    told = []
    for name, paths in both.items():
        if paths:
            which = f"{len(paths)} other images" if usable[name] else f"all {len(paths)} images"
            told.append(f"{which} of {name!r} stand under both labels, such as {paths[0]}")
    return f"{'; '.join(told)}; decide which label is right" if told else "add pictures"


def _not_two(counts: Mapping[str, int], place: str, loose: int, wanted: Sequence[str]) -> str:
    if len(counts) < 2:
        found = f"only {listed(counts)}" if counts else f"none, and {loose} files without a class"
        return (
            f"{place} must have two classes, found {found}: make one sub-folder for each class, or give "
            "`label_pattern` if the class stands in the file name."
        )
    found = f"{place} must have two classes, found {len(counts)}, {listed(counts)}"
    if not counts.keys() >= set(wanted):
        return f"{found}: the model knows {' and '.join(map(repr, wanted))}; rename the folders or labels."
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:2]
    return f"{found}: choose two, as in `classes` {shlex.join(sorted(wanted or largest))}."
