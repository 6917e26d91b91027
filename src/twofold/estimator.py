"""The scikit-learn interface: a classifier whose X is a list of images."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from platformdirs import user_cache_path
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from twofold.bundle.model import Prediction
from twofold.core.errors import DataError, UsageError
from twofold.core.options import (
    BackboneOptions,
    Balance,
    CropModeOption,
    CrossValidationOptions,
    DataOptions,
    DecisionOptions,
    DtypeOption,
    Effort,
    FeatureSet,
    Filter,
    LearningOptions,
    Mode,
    Optimize,
    RecipeName,
    RuntimeOptions,
    TrainingOptions,
    Views,
)
from twofold.core.progress import Progress, no_progress
from twofold.data import FileList, LabelledFile, ReadError, choose_positive, read_decisions, with_decisions
from twofold.dataset import group_column, label_column
from twofold.decision.rule import POSITIVE, UNSURE
from twofold.embedding import Runtime, Source, cached_runtime, image_sources, read_content
from twofold.report.progress_bars import notebook_bars, terminal_bars
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train_files

Images = Iterable[Any]
"""What `twofold.embedding.image_sources` takes."""

_NETWORK, _LEARNING, _DECISION = BackboneOptions(), LearningOptions(), DecisionOptions()
_CROSS_VALIDATION = CrossValidationOptions()


class BinaryImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Binary image classifier: logistic regression on the features of a frozen network, with calibrated probabilities.

    With `mode="finetune"` or `"scratch"` the network is trained, too.

    X is a list of n images, or one column of a table: paths, bytes, PIL images or uint8 arrays (height, width, 3), RGB. The
    parameters are the options of training; with `verbose` progress bars are shown, also in notebooks. `positive` is one of the
    two labels, by default the second in sorted order. `decisions` is the file that `twofold review` writes: labels are replaced,
    and images that were excluded are not used.

    Attributes after `fit`:

    - `classes_` (2,): the labels, sorted.
    - `model_`: the fitted model.
    - `evaluation_`: the metrics by cross-validation or, for a trained network without `cv`, on the validation set.
    - `threshold_`: the positive class is predicted where its probability is at or above this value.
    - `out_of_fold_` (n,), float64: the probability of the positive class for each training image, by a head or a network that
      was not fitted on it. It is NaN for images that no such head or network scored: without `cv`, the training set of a network,
      and images that were excluded in review.

    The methods raise DataError, a ValueError, where an image cannot be read, and NotFittedError before `fit`.
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
        effort: Effort = _NETWORK.effort,
        crop_mode: CropModeOption | None = _NETWORK.crop_mode,
        views: Views | None = _NETWORK.views,
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
        validation_fraction: float = _LEARNING.validation_fraction,
        cv: int | None = _LEARNING.cv,
        balance: Balance = _LEARNING.balance,
        tune: int | None = _LEARNING.tune,
        devices: int | None = _LEARNING.devices,
        num_nodes: int = _LEARNING.num_nodes,
        pixels_gb: float = _LEARNING.pixels_gb,
        positive: Any = None,
        decisions: str | Path | None = None,
        threshold: float | None = _DECISION.threshold,
        optimize: Optimize | None = _DECISION.optimize,
        cost_fp: float | None = _DECISION.cost_fp,
        cost_fn: float | None = _DECISION.cost_fn,
        cost_unsure: float | None = _DECISION.cost_unsure,
        promise: tuple[str, ...] = _DECISION.promise,
        confidence: float = _DECISION.confidence,
        abstain: bool = _DECISION.abstain,
        simultaneous: bool = _DECISION.simultaneous,
        prevalence: float | None = None,
        gate: bool = _DECISION.gate,
        folds: int = _CROSS_VALIDATION.folds,
        seed: int = _CROSS_VALIDATION.seed,
        cache: bool = RuntimeOptions().cache,
        threads: int | None = RuntimeOptions().threads,
        verbose: bool = False,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.features = features
        self.dtype = dtype
        self.output = output
        self.effort = effort
        self.crop_mode = crop_mode
        self.views = views
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
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.balance = balance
        self.tune = tune
        self.devices = devices
        self.num_nodes = num_nodes
        self.pixels_gb = pixels_gb
        self.positive = positive
        self.decisions = decisions
        self.threshold = threshold
        self.optimize = optimize
        self.cost_fp = cost_fp
        self.cost_fn = cost_fn
        self.cost_unsure = cost_unsure
        self.promise = promise
        self.confidence = confidence
        self.abstain = abstain
        self.simultaneous = simultaneous
        self.prevalence = prevalence
        self.gate = gate
        self.folds = folds
        self.seed = seed
        self.cache = cache
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Images, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Fits the model on images X (n,) and labels y (n,) of two classes. Each group of `groups` (n,) stays in one fold.

        An image whose group is None, NaN or an empty string is a group of its own.

        Raises UsageError for an illegal parameter, ValueError where y does not have two classes, DataError where an image cannot
        be read or a class has fewer than 10 images. All three are ValueErrors. Ctrl-C during the training of a network keeps the
        best epoch: the model is fitted with it, then KeyboardInterrupt is raised.
        """
        options, runtime = self._options(), self._runtime()
        codes = self._encode(label_column(y))
        images = image_sources(X)
        file_list, used = self._reviewed(self._file_list(images, codes, groups), images)
        sources = [images[row] for row in used]
        if self.mode != "frozen":
            _check_usable(sources, runtime.scan(sources).read_errors)  # before hours of training
        if self.positive is not None:
            options = replace(options, positive=file_list.positive)
        self.training_ = train_files(file_list, sources, options, runtime)
        _check_usable(sources, self.training_.dataset.table.read_errors)
        fit = self.training_.fit
        self.model_, self.evaluation_, self.threshold_ = fit.model, fit.evaluation, fit.model.rule.threshold
        self.out_of_fold_ = np.full(len(images), np.nan)
        self.out_of_fold_[used[fit.scores.rows]] = fit.evaluation.probabilities
        if self.training_.interrupted:
            raise KeyboardInterrupt
        return self

    def decision_function(self, X: Images) -> NDArray[np.float64]:
        """The logit of `classes_[1]` for each image, float64 (n,). It is above 0 where the probability is above 0.5, whatever
        `threshold_` is."""
        p = self._positive_probabilities(X)
        logits = np.log(p) - np.log1p(-p)
        return logits if self._positive_column() == 1 else -logits

    def predict_proba(self, X: Images) -> NDArray[np.float64]:
        """The calibrated probability of each class, float64 (n, 2), columns in the order of `classes_`."""
        p = self._positive_probabilities(X)
        columns = (1 - p, p) if self._positive_column() == 1 else (p, 1 - p)
        return np.column_stack(columns)

    def predict(self, X: Images) -> NDArray[Any]:
        """The predicted label of each image, (n,): the positive one where its probability is at or above `threshold_`.

        An unfamiliar image gets a label, too: every image of a test set has to count. `familiarity` says which these are. Raises
        DataError where the rule is unsure about an image.
        """
        probabilities = self._positive_probabilities(X)
        decisions = self.model_.rule.decide(probabilities)
        if unsure := int(np.sum(decisions == UNSURE)):
            raise DataError(f"The rule is unsure about {unsure} of {len(decisions)} images; use `predict_proba`.")
        column = self._positive_column()
        return np.asarray(self.classes_[np.where(decisions == POSITIVE, column, 1 - column)])

    def familiarity(self, X: Images) -> NDArray[np.float64]:
        """How much each image is like the training images, float64 (n,): a p-value in (0, 1]. An image is unfamiliar below
        `model_.rule.gate["level"]`. NaN where the model has no familiarity."""
        values = [prediction.familiarity for prediction in self._predictions(X)]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes a bundle, which `load_bundle` and the command line read. Labels become strings.

        Raises UsageError where `path` exists and `force` is False, or where it is not a bundle; TwofoldError where it cannot be
        written.
        """
        check_is_fitted(self)
        save(self.training_, Path(path), force=force)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # X is not a table of numbers
        return tags

    def _options(self) -> TrainingOptions:
        network = {
            field.name: getattr(self, field.name) for field in fields(BackboneOptions) if field.name != "weights"
        }
        decision = DecisionOptions(**{field.name: getattr(self, field.name) for field in fields(DecisionOptions)})
        cross_validation = CrossValidationOptions(self.folds, self.seed)
        learning = LearningOptions(**{field.name: getattr(self, field.name) for field in fields(LearningOptions)})
        return TrainingOptions(
            DataOptions(decisions=_path(self.decisions)),
            backbone=BackboneOptions(weights=_path(self.weights), **network),
            learning=learning,
            cross_validation=cross_validation,
            decision=decision,
        )

    def _runtime(self) -> Runtime:
        if not isinstance(self.verbose, bool | np.bool_ | int):
            raise UsageError(f"`verbose` must be True or False, got {self.verbose!r}.")
        options = RuntimeOptions(cache=self.cache, threads=self.threads)
        progress = _progress_bars() if self.verbose else no_progress
        return cached_runtime(partial(user_cache_path, "twofold"), options, progress)

    def _html_repr(self) -> str:
        """The diagram of scikit-learn and, after `fit`, the result of the training."""
        diagram = str(super()._html_repr())
        return f"{diagram}{self.training_._repr_html_()}" if hasattr(self, "training_") else diagram

    def _encode(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """The index of each label in `classes_`, (n,) 0 or 1; sets `classes_`."""
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. The type of the target is {type_of_target(y)}.")
        if len(self.classes_) < 2:
            raise ValueError(f"y must have labels of two classes, got 1 class: {self.classes_[0]!r}.")
        return codes

    def _file_list(self, sources: Sequence[Source], codes: NDArray[np.intp], groups: ArrayLike | None) -> FileList:
        """The images as a file list."""
        if len(sources) != len(codes):
            raise ValueError(f"X has {len(sources)} images, y has {len(codes)} labels; give one label per image.")
        names = [str(label) for label in self.classes_]
        columns = zip(sources, codes, group_column(groups, len(codes)), strict=True)
        files = tuple(
            LabelledFile(Path(_name(source, row)), names[code], group)
            for row, (source, code, group) in enumerate(columns)
        )
        matches = [name for label, name in zip(self.classes_, names, strict=True) if label == self.positive]
        positive = names[1] if self.positive is None else (matches or [str(self.positive)])[0]
        return FileList(files, (), (names[0], names[1]), choose_positive((names[0], names[1]), positive), ())

    def _reviewed(self, file_list: FileList, sources: Sequence[Source]) -> tuple[FileList, NDArray[np.intp]]:
        """The file list with the labels of the review, and the rows (used,) that were not excluded there."""
        rows = np.arange(len(sources))
        if self.decisions is None:
            return file_list, rows
        contents = map(read_content, sources)
        hashes = [None if isinstance(content, ReadError) else content.sha256 for content in contents]
        decisions = read_decisions(Path(self.decisions))
        excluded = decisions.excluded
        usable = np.array([sha256 not in excluded for sha256 in hashes])
        return with_decisions(file_list, hashes, decisions), rows[usable]

    def _positive_column(self) -> int:
        return int(str(self.classes_[1]) == self.model_.classes[1])

    def _positive_probabilities(self, X: Images) -> NDArray[np.float64]:
        return np.array([prediction.probability for prediction in self._predictions(X)], np.float64)

    def _predictions(self, X: Images) -> list[Prediction]:
        check_is_fitted(self)
        runtime = self._runtime()
        sources = image_sources(X)
        with Predictor(self.model_, runtime) as predictor:
            predictions = predictor.predict(sources)
        _check_usable(sources, [prediction.read_error for prediction in predictions])
        return predictions


def _path(value: Any) -> Any:
    """The path of a text; any other value as it is, for the check of the options."""
    return Path(value) if isinstance(value, str | os.PathLike) else value


def _progress_bars() -> Progress:
    """Progress bars in the notebook in which this process runs, else on stderr."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):  # not IPython in a terminal
        return notebook_bars(_show_in_cell)
    return terminal_bars(partial(Console, stderr=True))


def _show_in_cell(text: str) -> Callable[[str], None]:
    display = import_module("IPython.display")
    handle = display.display(display.HTML(text), display_id=True)
    return lambda replacement: handle.update(display.HTML(replacement))


def _name(source: Source, row: int) -> str:
    return str(source) if isinstance(source, Path) else f"image-{row}"


def _check_usable(sources: Sequence[Source], read_errors: Sequence[ReadError | None]) -> None:
    """Raises DataError that lists the images that cannot be read: an array of predictions cannot hold a reason."""
    errors = [(row, error) for row, error in enumerate(read_errors) if error is not None]
    if errors:
        sentences = "; ".join(f"{_name(sources[row], row)}: {error.sentence}" for row, error in errors[:5])
        raise DataError(f"{len(errors)} of {len(sources)} images cannot be read; leave them out. {sentences}")
