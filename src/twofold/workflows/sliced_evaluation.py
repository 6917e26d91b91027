"""Evaluations with slices: on a test set, or of out-of-fold scores."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twofold.audit.metadata_features import slice_columns
from twofold.bundle.model import Model
from twofold.dataset.labelled import LabelledDataset
from twofold.evaluation import Evaluation
from twofold.evaluation.promise_checks import observe_promises
from twofold.evaluation.slices import find_slices


def evaluate_test(model: Model, dataset: LabelledDataset, rows: NDArray[np.intp] | None = None) -> Evaluation:
    """The evaluation on the valid images of a test set, or on these `rows` of its usable images.

    It has slices, and a check of each promise of the model's rule.
    """
    rows = np.flatnonzero(dataset.valid) if rows is None else rows
    evaluation = model.evaluate(dataset, rows)
    promises = observe_promises(evaluation.sample, evaluation.rule, evaluation.classes[1])
    return with_slices(replace(evaluation, promises=promises), dataset, rows)


def with_slices(evaluation: Evaluation, dataset: LabelledDataset, rows: NDArray[np.intp]) -> Evaluation:
    """The evaluation of these `rows` of the usable images of a dataset, with its slices."""
    return replace(evaluation, slices=find_slices(evaluation.sample, slice_columns(dataset, rows)))
