"""Shortcuts: can the label be read off something that is not the picture?"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.decision import fit_head
from twofold.evaluation import Interval
from twofold.evaluation.intervals import delong

EncodingMetadata = Mapping[str, NDArray[Any]]
"""Columns (n,) by name: float, NaN where unknown, or str, "" where unknown."""

MATTERS = 0.6
"""A feature is named when the lower end of its AUC reaches this. Chance is 0.5: what lies between makes up for the number of
features that are looked at, and lets go what a network would hardly learn."""

NAME = "name pattern"

SEEN = ("aspect", "border", "brightness")
"""Beginnings of the names of what shows in the pixels, where classes may differ in all honesty."""

BINS = 10
RARE = 5  # pictures; values that fewer share are taken together
TOLD = 3  # values named in a sentence


@dataclass(frozen=True, slots=True, eq=False)
class Shortcut:
    """One feature that gives the label away."""

    feature: str
    auc: Interval  # out-of-fold, of a model that knows this feature alone
    text: str = field(repr=False)
    quantiles: dict[str, list[float]] = field(repr=False)  # of each class at 0, 5, ..., 100%; empty for words
    fractions: dict[str, dict[str, float]] = field(repr=False)  # of each class, by value; empty for numbers


@dataclass(frozen=True, slots=True, eq=False)
class Shortcuts:
    """What gives the label away, the plainest first."""

    together: Interval  # AUC, out-of-fold, of one model on all features but the names
    found: tuple[Shortcut, ...]

    @property
    def texts(self) -> list[str]:
        """A sentence for each; where none gives the label away, one for all of them together if they do."""
        if self.found or self.together.low < MATTERS:
            return [shortcut.text for shortcut in self.found]
        auc = f"{self.together.value:.2f} ({self.together.low:.2f} to {self.together.high:.2f})"
        return [
            f"No single feature of the files gives the label away, but all together do, with an AUC of {auc}: size, shape, "
            "bytes, format, EXIF, brightness, border. A model may learn that instead of what the pictures show."
        ]


def find_shortcuts(
    metadata_features: EncodingMetadata, labels: NDArray[np.int8], folds: NDArray[np.int64], classes: tuple[str, str]
) -> Shortcuts:
    """The traits that tell the labels (n,), 0 or 1, apart, by models that did not see the fold (n,) they are tried on.

    Numbers are cut into ten bins of equal size, words are bins of their own; a bin's score is its share of positives in
    the other folds. All but the names go into one logistic regression, too. Columns with a single value are passed over.
    """
    bins = {name: _binned(column) for name, column in metadata_features.items()}
    telling = {name: place for name, place in bins.items() if place.max(initial=0) > 0}
    areas = {name: delong(labels, _held_out(place, labels, folds)) for name, place in telling.items()}
    named = sorted((name for name in areas if areas[name].low >= MATTERS), key=lambda name: -areas[name].value)
    found = tuple(_shortcut(name, metadata_features[name], areas[name], labels, classes) for name in named)
    return Shortcuts(_together([telling[name] for name in telling if name != NAME], labels, folds), found)


def name_traits(paths: Sequence[str], classes: tuple[str, str]) -> EncodingMetadata:
    """The pattern of each file name: numbers, hashes and what resembles a class's name are struck out, "cat.12.jpg" being
    "@.#.jpg": names may say what a picture is of, but they should not say where it came from.

    >>> name_traits(["cats/cat.12.jpg", "dogs/dog.7.jpg", "dogs/IMG_0042.JPG"], ("cats", "dogs"))["name pattern"].tolist()
    ['@.#.jpg', '@.#.jpg', 'img_#.jpg']
    """
    known = [name.casefold() for name in classes]
    longest = sorted((re.split(r"[\W_]+", name) for name in known), key=lambda words: -len(words))
    whole = "|".join(r"[\W_]+".join(map(re.escape, words)) for words in longest)

    def struck(word: re.Match[str]) -> str:
        text = word.group()
        alike = any(text.startswith(name) or (len(text) >= 3 and name.startswith(text)) for name in known)
        return "@" if alike else text

    def pattern(path: str) -> str:
        name = PurePath(path).name.casefold()
        name = re.sub(rf"(?<![^\W\d_])(?:{whole})(?![^\W\d_])", "@", name)
        name = re.sub(r"(?=[a-f]*\d)[0-9a-f]{8,}", "#", name)
        return re.sub(r"\d+", "#", re.sub(r"[^\W\d_]+", struck, name))

    return {NAME: np.array([pattern(path) for path in paths], np.str_)}


def _binned(column: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the bin of each value, numbered from 0; the unknown have one of their own. Labels have no say in it."""
    if column.dtype.kind not in "fiub":
        values, place, count = np.unique(column, return_inverse=True, return_counts=True)
        return np.unique(np.where(count < RARE, len(values), np.arange(len(values)))[place], return_inverse=True)[1]
    numbers = column.astype(np.float64)
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    # A value that many share is an edge, and gets a bin to itself, between what is smaller and what is larger.
    place = np.searchsorted(edges, numbers, "left") + np.searchsorted(edges, numbers, "right")
    return np.unique(np.where(np.isnan(numbers), -1, place), return_inverse=True)[1]


def _held_out(place: NDArray[np.int64], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) the share of positives in the bin of each picture, in the other folds, drawn a little to the share in all of them."""
    names, fold = np.unique(folds, return_inverse=True)
    shape = len(names), int(place.max()) + 1
    cell = np.ravel_multi_index((fold, place), shape)
    images = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    positives = np.bincount(cell, labels == 1, minlength=np.prod(shape)).reshape(shape)
    others, right = images.sum(axis=0) - images, positives.sum(axis=0) - positives  # (folds, bins)
    fraction = right.sum(axis=1, keepdims=True) / others.sum(axis=1, keepdims=True)
    return np.asarray(
        ((right + 2 * fraction) / (others + 2) - fraction)[fold, place]
    )  # less the share: it differs between folds


def _together(places: Sequence[NDArray[np.int64]], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> Interval:
    if not places:
        return Interval(0.5, 0.5, 0.5)
    table = np.hstack([np.eye(int(place.max()) + 1, dtype=np.float32)[place] for place in places])
    return delong(labels, fit_head(table, labels, folds).logits)


def _shortcut(
    name: str, column: NDArray[Any], auc: Interval, labels: NDArray[np.int8], classes: tuple[str, str]
) -> Shortcut:
    parts = {classes[label]: column[labels == label] for label in (0, 1)}
    numeric = column.dtype.kind in "fiub"
    told = "; ".join(f"{label} {_numbers(part) if numeric else _words(part)}" for label, part in parts.items())
    quantiles = {label: _quantiles(part) for label, part in parts.items()} if numeric else {}
    fractions = {} if numeric else {label: dict(_shares(part)) for label, part in parts.items()}
    text = (
        f"{name}: {told}. It tells the classes apart with an AUC of {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}). "
    )
    return Shortcut(name, auc, text + _advice(name), quantiles, fractions)


def _advice(name: str) -> str:
    if name == NAME:
        return "A model sees no names; but if the classes came from two sources, they may differ in other ways."
    if name.startswith(SEEN):
        return "That may be what the classes are about; if it is not, the model may go by it: even it out."
    return "That is no part of what the pictures show, and the model may go by its traces: take both classes from one source."


def _quantiles(part: NDArray[Any]) -> list[float]:
    known = part.astype(np.float64)
    known = known[~np.isnan(known)]
    return np.quantile(known, np.linspace(0, 1, 21)).tolist() if len(known) else []


def _numbers(part: NDArray[Any]) -> str:
    """Median, and the middle 80%; what is unknown."""
    quantiles = _quantiles(part)
    unknown = float(np.isnan(part.astype(np.float64)).mean())
    if not quantiles:
        return "unknown"
    text = f"{quantiles[10]:.4g} ({quantiles[2]:.4g} to {quantiles[18]:.4g})"
    return text if not unknown else f"{text}, unknown for {unknown:.0%}"


def _words(part: NDArray[Any]) -> str:
    return ", ".join(f"{value or 'unknown'} {fraction:.0%}" for value, fraction in _shares(part)[:TOLD])


def _shares(part: NDArray[Any]) -> list[tuple[str, float]]:
    return [(str(value), count / len(part)) for value, count in Counter(part.tolist()).most_common()]
