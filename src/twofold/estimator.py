"""The scikit-learn face: a classifier whose X is a list of pictures."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from twofold.core.errors import DataError, UsageError
from twofold.core.options import (
    BackboneOptions,
    Balance,
    CropMode,
    DecisionOptions,
    DtypeOption,
    FeatureSet,
    Filter,
    LearningOptions,
    Mode,
    Optimize,
    RecipeName,
    RuntimeOptions,
    TrainingOptions,
)
from twofold.data import FileList, LabelledFile, choose_positive
from twofold.dataset import group_column, label_column
from twofold.embedding import FeatureTable, Runtime, Source, image_sources, user_runtime
from twofold.workflows.save import save
from twofold.workflows.train import train_files

Pictures = Iterable[Any]  # see twofold.embedding.image_sources for what there is in practice

_NETWORK, _LEARNING, _DECISION = BackboneOptions(), LearningOptions(), DecisionOptions()


class BinaryImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Pictures of two kinds told apart: a frozen network, a linear unit, calibrated probabilities; with `mode="finetune"` or
    `"scratch"` the network is learned, too.

    X is a list, or one column of a table, of n pictures: paths, bytes, PIL images or arrays, uint8 (height, width, 3). The
    parameters are those of `twofold train`. `positive` is one of the two labels; the greater one by default.

    After `fit`: `classes_` (2,), sorted; `model_`, which answers; `evaluation_`, the cross-validation; `threshold_`, the
    probability of the positive class from which on it is the answer; `out_of_fold_` (n,), the probability of the positive
    class for every training picture by a head, or a network, that did not see it; NaN for pictures that a network learned from
    and no other scored, as without `cv`.
    """

    def __init__(
        self,
        backbone: str = _NETWORK.backbone,
        *,
        weights: str | Path | None = _NETWORK.weights,
        size: int | None = _NETWORK.size,
        features: FeatureSet = _NETWORK.features,
        dtype: DtypeOption = _NETWORK.dtype,
        output: str | None = _NETWORK.output,
        crop_mode: CropMode | None = _NETWORK.crop_mode,
        filter: Filter | None = _NETWORK.filter,
        mean: tuple[float, float, float] | None = _NETWORK.mean,
        std: tuple[float, float, float] | None = _NETWORK.std,
        mode: Mode = _LEARNING.mode,
        recipe: RecipeName | None = _LEARNING.recipe,
        epochs: int | None = _LEARNING.epochs,
        batch_size: int | None = _LEARNING.batch_size,
        learning_rate: float | None = _LEARNING.learning_rate,
        weight_decay: float | None = _LEARNING.weight_decay,
        dropout: float | None = _LEARNING.dropout,
        augment: float = _LEARNING.augment,
        fixed_orientation: bool = _LEARNING.fixed_orientation,
        validation: float = _LEARNING.validation,
        cv: int | None = _LEARNING.cv,
        balance: Balance = _LEARNING.balance,
        tune: int | None = _LEARNING.tune,
        devices: int | None = _LEARNING.devices,
        num_nodes: int = _LEARNING.num_nodes,
        pixels_gb: float = _LEARNING.pixels_gb,
        positive: Any = _DECISION.positive,
        threshold: float | None = _DECISION.threshold,
        optimize: Optimize = _DECISION.optimize,
        folds: int = _DECISION.folds,
        seed: int = _DECISION.seed,
        cache: bool = RuntimeOptions().cache,
        threads: int | None = RuntimeOptions().threads,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.features = features
        self.dtype = dtype
        self.output = output
        self.crop_mode = crop_mode
        self.filter = filter
        self.mean = mean
        self.std = std
        self.mode = mode
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.augment = augment
        self.fixed_orientation = fixed_orientation
        self.validation = validation
        self.cv = cv
        self.balance = balance
        self.tune = tune
        self.devices = devices
        self.num_nodes = num_nodes
        self.pixels_gb = pixels_gb
        self.positive = positive
        self.threshold = threshold
        self.optimize = optimize
        self.folds = folds
        self.seed = seed
        self.cache = cache
        self.threads = threads

    def fit(self, X: Pictures, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Fits on pictures X (n,) and labels y (n,) of two kinds; pictures of one group are never parted by a fold.

        A picture whose group is None, NaN or empty text stands alone. Raises UsageError for a parameter that is not legal,
        ValueError where y has not two kinds, DataError where a picture cannot be used or there are fewer than 10 a kind; all of
        them are ValueErrors. Of a network that learns, Ctrl-C keeps the best so far; it is fitted then, and KeyboardInterrupt
        goes on.
        """
        with _parameters_named():
            options, runtime = self._options(), self._machine()
            codes = self._codes(label_column(y))
            sources = image_sources(X)
            file_list = self._listing(sources, codes, groups)
            if self.mode != "frozen":
                _check_usable(sources, runtime.scan(sources))  # before hours of work
            self.training_ = train_files(file_list, sources, options, runtime)
        _check_usable(sources, self.training_.dataset.table)
        fit = self.training_.fit
        self.model_, self.evaluation_, self.threshold_ = fit.model, fit.evaluation, fit.model.rule.threshold
        self.out_of_fold_ = np.full(len(sources), np.nan)
        self.out_of_fold_[fit.scores.rows] = fit.evaluation.probabilities
        if self.training_.interrupted:
            raise KeyboardInterrupt
        return self

    def decision_function(self, X: Pictures) -> NDArray[np.float64]:
        """The logit for each picture, (n,); above 0 for what is more likely `classes_[1]`, whatever the threshold."""
        p = self._positive_probabilities(X)
        logits = np.log(p) - np.log1p(-p)
        return logits if self._positive_column() == 1 else -logits

    def predict_proba(self, X: Pictures) -> NDArray[np.float64]:
        """The calibrated probability of each class, (n, 2), columns in the order of `classes_`."""
        p = self._positive_probabilities(X)
        columns = (1 - p, p) if self._positive_column() == 1 else (p, 1 - p)
        return np.column_stack(columns)

    def predict(self, X: Pictures) -> NDArray[Any]:
        """The label for each picture, (n,): the positive one where its probability reaches `threshold_`."""
        probabilities = self._positive_probabilities(X)
        called = self.model_.rule.decide(probabilities) == 1
        column = self._positive_column()
        return np.asarray(self.classes_[np.where(called, column, 1 - column)])

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes a bundle, which `load_bundle` and the command line read; labels become text."""
        check_is_fitted(self)
        save(self.training_, Path(path), force=force)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # X is no table of numbers
        return tags

    def _options(self) -> TrainingOptions:
        own = {field.name: getattr(self, field.name) for field in fields(BackboneOptions) if field.name != "weights"}
        weights = Path(self.weights) if isinstance(self.weights, str | os.PathLike) else self.weights
        decision = DecisionOptions(None, self.threshold, self.optimize, self.folds, self.seed)
        learning = LearningOptions(**{field.name: getattr(self, field.name) for field in fields(LearningOptions)})
        return TrainingOptions(backbone=BackboneOptions(weights=weights, **own), learning=learning, decision=decision)

    def _machine(self) -> Runtime:
        return user_runtime(RuntimeOptions(cache=self.cache, threads=self.threads))

    def _codes(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Which of the classes each label is, (n,) 0 or 1; sets `classes_`."""
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. The type of the target is {type_of_target(y)}.")
        if len(self.classes_) < 2:
            raise ValueError(f"y must have two kinds of labels, got 1 class: {self.classes_[0]!r}.")
        return codes

    def _listing(self, sources: Sequence[Source], codes: NDArray[np.intp], groups: ArrayLike | None) -> FileList:
        """The pictures as `train` would list them."""
        if len(sources) != len(codes):
            raise ValueError(f"X has {len(sources)} pictures, y has {len(codes)} labels; give one label a picture.")
        names = [str(label) for label in self.classes_]
        items = tuple(
            LabelledFile(Path(_name(source, row)), names[code], group)
            for row, (source, code, group) in enumerate(
                zip(sources, codes, group_column(groups, len(codes)), strict=True)
            )
        )
        chosen = [name for label, name in zip(self.classes_, names, strict=True) if label == self.positive]
        positive = names[1] if self.positive is None else (chosen or [str(self.positive)])[0]
        return FileList(items, (), (names[0], names[1]), choose_positive((names[0], names[1]), positive), ())

    def _positive_column(self) -> int:
        return int(str(self.classes_[1]) == self.model_.classes[1])

    def _positive_probabilities(self, X: Pictures) -> NDArray[np.float64]:
        check_is_fitted(self)
        with _parameters_named():
            runtime = self._machine()
        sources = image_sources(X)
        table = runtime.embed(sources, self.model_.engine(runtime))
        _check_usable(sources, table)
        return self.model_.probabilities(table.features)


@contextmanager
def _parameters_named() -> Iterator[None]:
    """Errors name parameters, not flags: batch_size for --batch-size."""
    try:
        yield
    except UsageError as error:
        said = re.sub(r"(?<![\w-])--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), str(error))
        raise UsageError(said) from error


def _name(source: Source, row: int) -> str:
    return str(source) if isinstance(source, Path) else f"picture-{row}"


def _check_usable(sources: Sequence[Source], table: FeatureTable) -> None:
    """DataError that names the pictures that cannot be used: an array of answers has no place for a reason."""
    bad = [(row, read_error) for row, read_error in enumerate(table.read_errors) if read_error is not None]
    if bad:
        first = "; ".join(f"{_name(sources[row], row)}: {read_error.sentence}" for row, read_error in bad[:5])
        raise DataError(f"{len(bad)} of {len(sources)} pictures cannot be used; leave them out. {first}")
