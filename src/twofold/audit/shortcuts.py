"""Shortcuts: metadata features from which the label can be predicted."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.decision import fit_head
from twofold.evaluation import Interval
from twofold.evaluation.intervals import delong

MetadataFeatures = Mapping[str, NDArray[Any]]
"""Columns (n,) by name: float, NaN where not known, or str, "" where not known."""

MIN_AUC: Final = 0.6
"""A feature is listed if the lower end of its AUC reaches this. The distance to chance, 0.5, compensates for the number of
features that are tested, and excludes features that a network would hardly learn."""

NAME: Final = "name pattern"
BINS: Final = 10
MIN_COUNT: Final = 5  # images; rarer values share one bin

_PIXEL_FEATURES: Final = ("aspect", "border", "brightness")
_ADVICE: Final = {
    "file": "A model may learn traces of the file properties instead of the content: take both classes from one source.",
    "pixels": "Classes may differ in brightness, border or shape for a good reason. If not, balance them: a model may learn it.",
    "name": "A model does not read file names, but classes from two sources may also differ in other ways.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Shortcut:
    """A metadata feature from which the label can be predicted."""

    feature: str
    auc: Interval  # out-of-fold, of a model of this feature only
    quantiles: dict[str, list[float]] = field(repr=False)  # of each class at 0, 5, ..., 100%; empty for texts
    fractions: dict[str, dict[str, float]] = field(repr=False)  # of each value, by class; empty for numbers


@dataclass(frozen=True, slots=True, eq=False)
class Shortcuts:
    """The metadata features from which the label can be predicted, the highest AUC first."""

    combined_auc: Interval  # out-of-fold, of one model of all features except the file names
    features: tuple[Shortcut, ...]

    @property
    def summary(self) -> str | None:
        """What all features together reach, and the advice; None if the label cannot be predicted from them."""
        combined = f"reach an AUC of {_format_auc(self.combined_auc)}"
        if self.features:
            names = ", ".join(f"{shortcut.feature} (AUC {shortcut.auc.value:.2f})" for shortcut in self.features)
            return (
                f"Metadata features predict the class: {names}. All together, without file names, {combined}. "
                + " ".join(self.advice)
            )
        if self.combined_auc.low < MIN_AUC:
            return None
        return (
            "No single metadata feature predicts the class, but size, shape, format, EXIF data, brightness and border together "
            f"{combined}. A model may learn them instead of the content of the images."
        )

    @property
    def advice(self) -> list[str]:
        """A sentence for each kind among the features: of the file, of its pixels, of its name."""
        kinds = {_kind(shortcut.feature) for shortcut in self.features}
        return [sentence for kind, sentence in _ADVICE.items() if kind in kinds]


def _kind(feature: str) -> str:
    return "name" if feature == NAME else "pixels" if feature.startswith(_PIXEL_FEATURES) else "file"


def find_shortcuts(
    features: MetadataFeatures, labels: NDArray[np.int8], folds: NDArray[np.int64], classes: tuple[str, str]
) -> Shortcuts:
    """The shortcuts to labels (n,), 0 or 1, by models that are fitted on the other folds (n,).

    Numbers are binned into ten quantiles, texts into one bin per value; the score of a bin is its fraction of positives in
    the other folds. All features except the file names also go into one logistic regression. Columns with a single value
    are left out.
    """
    bins_by_name = {name: _bin(column) for name, column in features.items()}
    bins_by_name = {name: bins for name, bins in bins_by_name.items() if bins.max(initial=0) > 0}
    aucs = {name: delong(labels, _score_bins(bins, labels, folds)) for name, bins in bins_by_name.items()}
    names = sorted((name for name in aucs if aucs[name].low >= MIN_AUC), key=lambda name: -aucs[name].value)
    shortcuts = tuple(_shortcut(name, features[name], aucs[name], labels, classes) for name in names)
    return Shortcuts(_fit_all([bins_by_name[name] for name in bins_by_name if name != NAME], labels, folds), shortcuts)


def name_pattern(paths: Sequence[str], classes: tuple[str, str]) -> MetadataFeatures:
    """The file names with # for numbers and hashes and @ for class names.

    A file name may contain its class, as in "cat.12.jpg", but should not reveal its source.

    >>> name_pattern(["cats/cat.12.jpg", "dogs/dog.7.jpg", "dogs/IMG_0042.JPG"], ("cats", "dogs"))["name pattern"].tolist()
    ['@.#.jpg', '@.#.jpg', 'img_#.jpg']
    """
    class_names = [name.casefold() for name in classes]
    longest_first = sorted((re.split(r"[\W_]+", name) for name in class_names), key=lambda words: -len(words))
    full_names = "|".join(r"[\W_]+".join(map(re.escape, words)) for words in longest_first)

    def replace_word(word: re.Match[str]) -> str:
        text = word.group()
        similar = any(text.startswith(name) or (len(text) >= 3 and name.startswith(text)) for name in class_names)
        return "@" if similar else text

    def pattern(path: str) -> str:
        name = PurePath(path).name.casefold()
        name = re.sub(rf"(?<![^\W\d_])(?:{full_names})(?![^\W\d_])", "@", name)
        name = re.sub(r"(?=[a-f]*\d)[0-9a-f]{8,}", "#", name)
        return re.sub(r"\d+", "#", re.sub(r"[^\W\d_]+", replace_word, name))

    return {NAME: np.array([pattern(path) for path in paths], np.str_)}


def _bin(column: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the bin of each value, from 0; unknown values have their own bin. Bins do not depend on the labels."""
    if column.dtype.kind not in "fiub":
        values, bins, count = np.unique(column, return_inverse=True, return_counts=True)
        bin_of_value = np.where(count < MIN_COUNT, len(values), np.arange(len(values)))
        return np.unique(bin_of_value[bins], return_inverse=True)[1]
    numbers = column.astype(np.float64)
    finite = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(finite, np.arange(1, BINS) / BINS)) if len(finite) else np.empty(0)
    # A frequent value is an edge, and has its own bin between the smaller and the larger values.
    bins = np.searchsorted(edges, numbers, "left") + np.searchsorted(edges, numbers, "right")
    return np.unique(np.where(np.isnan(numbers), -1, bins), return_inverse=True)[1]


def _score_bins(bins: NDArray[np.int64], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) the fraction of positives in the bin of each image, in the other folds, shrunk towards the overall fraction."""
    names, fold = np.unique(folds, return_inverse=True)
    shape = len(names), int(bins.max()) + 1
    cell = np.ravel_multi_index((fold, bins), shape)
    images = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    positives = np.bincount(cell, labels == 1, minlength=np.prod(shape)).reshape(shape)
    other_images, other_positives = images.sum(axis=0) - images, positives.sum(axis=0) - positives  # (folds, bins)
    overall = other_positives.sum(axis=1, keepdims=True) / other_images.sum(axis=1, keepdims=True)
    # The overall fraction differs between folds, so it is subtracted.
    return np.asarray(((other_positives + 2 * overall) / (other_images + 2) - overall)[fold, bins])


def _fit_all(
    bins_by_feature: Sequence[NDArray[np.int64]], labels: NDArray[np.int8], folds: NDArray[np.int64]
) -> Interval:
    if not bins_by_feature:
        return Interval(0.5, 0.5, 0.5)
    one_hot = np.hstack([np.eye(int(bins.max()) + 1, dtype=np.float32)[bins] for bins in bins_by_feature])
    return delong(labels, fit_head(one_hot, labels, folds).logits)


def _shortcut(
    name: str, column: NDArray[Any], auc: Interval, labels: NDArray[np.int8], classes: tuple[str, str]
) -> Shortcut:
    columns = {classes[label]: column[labels == label] for label in (0, 1)}
    numeric = column.dtype.kind in "fiub"
    quantiles = {label: _quantiles(values) for label, values in columns.items()} if numeric else {}
    fractions = {} if numeric else {label: dict(_fractions(values)) for label, values in columns.items()}
    return Shortcut(name, auc, quantiles, fractions)


def _format_auc(auc: Interval) -> str:
    return f"{auc.value:.2f} [{auc.low:.2f}, {auc.high:.2f}]"


def _quantiles(column: NDArray[Any]) -> list[float]:
    finite = column.astype(np.float64)
    finite = finite[~np.isnan(finite)]
    return np.quantile(finite, np.linspace(0, 1, 21)).tolist() if len(finite) else []


def _fractions(column: NDArray[Any]) -> list[tuple[str, float]]:
    return [(str(value), count / len(column)) for value, count in Counter(column.tolist()).most_common()]
