"""Names of splits, such as train and test: of folders, and in a column of a table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

SplitKind = Literal["train", "held-out"]
_BEFORE: Final = r"[xy]?(?:data|images?|imgs?)?"
_AFTER: Final = r"(?:sets?|data|datasets?|images?|imgs?|dir|folder|split)?"
_TRAIN: Final = re.compile(rf"{_BEFORE}(?:train|training|trn)(?:val|valid|dev)?{_AFTER}")
_HELD_OUT: Final = re.compile(
    rf"{_BEFORE}(?:test|testing|tst|val|valid|validation|dev|devel|eval|evaluation|holdout|heldout|fold|"
    rf"pred|predict|predictions?|inference){_AFTER}"
)
# Words that distinguish neither splits nor classes.
_NEUTRAL: Final = re.compile(
    r"(data)?sets?|data|images?|imgs?|photos?|pictures?|pics?|splits?|subset|part|folder|dir|raw|orig|original|old|new|final|"
    r"clean|all|full|whole|small|medium|large|big|tiny|mini|samples?|public|private|aug|augmented|resized|cropped|"
    r"(un)?labell?ed|of|for|the|my|st"
)
_COLUMNS: Final = frozenset(("split", "set", "subset", "partition"))
_SWITCH: Final = re.compile(r"(is_?)?(train|training|test|testing|val|validation|holdout)|is_?valid")  # fastai's
_TRUE: Final = frozenset(("1", "true", "t", "yes", "y"))
_FALSE: Final = frozenset(("0", "false", "f", "no", "n"))


def split_kind(name: str) -> SplitKind | None:
    """The kind of split that the name denotes, training or held-out; None for any other name.

    >>> [split_kind(name) for name in ("pets_train", "seg-test", "Validation2", "trained", "bus")]
    ['train', 'held-out', 'held-out', None, None]
    """
    words = _words(name)
    if any(map(_TRAIN.fullmatch, words)):
        return "train"
    return "held-out" if any(map(_HELD_OUT.fullmatch, words)) else None


def are_splits(names: Iterable[str]) -> bool:
    """Whether the names include a training and a held-out split of the same subject."""
    splits = [name for name in names if split_kind(name)]
    return len({split_kind(name) for name in splits}) == 2 and same_subject(splits)


def is_split_column(name: str) -> bool:
    """Whether the name is one of a column of splits."""
    return not _COLUMNS.isdisjoint(_words(name))


def split_column(header: Sequence[str], rows: Sequence[Mapping[int, str]]) -> list[str]:
    """The split of each row, empty where its cell is; [] where no column gives splits. `rows` are cells by column number."""
    for column, name in enumerate(header):
        cells = [row.get(column, "") for row in rows]
        if name in ("path", "label", "group"):
            continue
        if _is_switch(name, cells):
            return _switch_splits(name, cells)
        if _has_splits(name, {cell.casefold() for cell in cells}):
            return cells
    return []


def other_words(name: str) -> frozenset[str]:
    """The words of a name that may describe its images: those that are neither neutral nor the name of a split."""
    return frozenset(
        word for word in _words(name) if not any(pattern.fullmatch(word) for pattern in (_NEUTRAL, _TRAIN, _HELD_OUT))
    )


def same_subject(names: Iterable[str]) -> bool:
    """Whether the names have the same other words, or none: cats_train and cats_test, but not cats_train and dogs_test."""
    return len({other_words(name) for name in names} - {frozenset()}) <= 1


def _words(name: str) -> list[str]:
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(re.findall(r"[^\W\d_]+", text)).lower()
    return re.sub(r"\b(hold|held) out\b", r"\1out", words).split()


def _has_splits(name: str, values: set[str]) -> bool:
    """Whether a column of this name with these values gives splits: by its name, or because every value is a split."""
    kinds = {None if other_words(value) else split_kind(value) for value in values - {""}}
    words = set(_words(name))
    if "split" in words or (words & _COLUMNS and kinds & {"train", "held-out"}):
        return len(values) > 1
    return kinds == {"train", "held-out"}


def _is_switch(name: str, cells: Sequence[str]) -> bool:
    """Whether the column has truth values, such as is_valid or train."""
    values = {cell.casefold() for cell in cells} - {""}
    has_both_values = values <= _TRUE | _FALSE and values & _TRUE and values & _FALSE
    return bool(has_both_values) and _SWITCH.fullmatch(name) is not None


def _switch_splits(name: str, cells: Sequence[str]) -> list[str]:
    if_true, if_false = ("train", "test") if split_kind(name) == "train" else ("test", "train")
    return [(if_true if cell.casefold() in _TRUE else if_false) if cell else "" for cell in cells]
