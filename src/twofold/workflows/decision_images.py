"""Other images for a decision: held-out ones that a rule is chosen on, and unlabelled ones that show the prevalence."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.audit.leakage import find_leakage, unseen_rows
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.core.errors import DataError
from twofold.core.notes import count_text
from twofold.core.options import DataOptions
from twofold.data import iterate_files
from twofold.dataset.labelled import embed_files, list_test_files
from twofold.decision.bounds import tail
from twofold.embedding import Runtime
from twofold.evaluation.groups import has_groups
from twofold.evaluation.prevalence_estimate import PrevalenceEstimate, estimate_prevalence
from twofold.workflows.labelled_scores import LabelledScores

_MIN_UNLABELLED: Final = 30
_SIGNIFICANCE: Final = 0.01


def held_out_scores(bundle: Bundle, data: Path, options: DataOptions, runtime: Runtime) -> LabelledScores:
    """The model's scores of labelled images of both classes, without those that resemble a training image.

    DataError where a class is missing, or where images are training images.
    """
    model = bundle.model
    file_list = list_test_files(model.classes, data, options)
    dataset = embed_files(file_list, file_list.paths, model.engine(runtime), runtime, what="images")
    dataset.check_counts(1)
    leaked = find_leakage(dataset, bundle.fingerprint_index())
    copies = [image for image in leaked.values() if image.kind in ("exact", "pixels")]
    if copies:
        images = count_text(len(copies), "image is a training image", "images are training images")
        raise DataError(
            f"A rule cannot be chosen on images that the model was trained on: {images}, such as {copies[0].path} "
            f"({copies[0].duplicate_of}). Leave them out."
        )
    rows = unseen_rows(dataset, leaked, np.flatnonzero(dataset.valid))
    labels = dataset.labels[rows]
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"In {data} no image of one class is left: the others resemble training images. Give more images."
        )
    groups, features = dataset.groups[rows], dataset.table.features[rows]
    logits, familiarity = model.logits(features), model.familiarities(features)
    groups_or_none = groups if has_groups(groups) else None
    return LabelledScores("held-out", labels, logits, groups_or_none, familiarity, left_out=len(leaked))


def estimate_from(bundle: Bundle, scores: LabelledScores, data: Path, runtime: Runtime) -> PrevalenceEstimate:
    """The prevalence among the unlabelled images in DATA."""
    if data.suffix.lower() == ".csv":
        raise DataError(f"{data} is a table; give the unlabelled images as a folder, an archive or a file.")
    if not data.exists():
        raise DataError(f"There is no {data}: give a folder or an archive of unlabelled images.")
    model, paths = bundle.model, list(iterate_files([data]))
    table = runtime.embed(paths, model.engine(runtime), what="images")
    if len(table.features) < _MIN_UNLABELLED:
        raise DataError(
            f"The prevalence cannot be estimated from {len(table.features)} usable images in {data}; give at least "
            f"{_MIN_UNLABELLED}, or the prevalence as a number."
        )
    _check_familiar(model, table.features, data)
    unlabelled, labelled = (
        model.calibration.probabilities(logits) for logits in (model.logits(table.features), scores.logits)
    )
    estimate = estimate_prevalence(unlabelled, scores.labels, labelled, scores.groups)
    if not 0 < estimate.prevalence.value < 1:
        kind = model.classes[int(estimate.prevalence.value)]
        raise DataError(
            f"All images in {data} appear to be {kind}: the prevalence of {model.classes[1]} lies between "
            f"{estimate.prevalence.low:.4f} and {estimate.prevalence.high:.4f}. Give it as a number."
        )
    return estimate


def _check_familiar(model: Model, features: NDArray[np.float32], data: Path) -> None:
    """DataError where more images are unfamiliar than the gate allows: then more differs than the numbers of the classes."""
    gate, familiarity = model.rule.gate, model.familiarities(features)
    if gate is None or familiarity is None:
        return
    unfamiliar, count = int(np.sum(familiarity < gate["level"])), len(features)
    if float(tail(count - unfamiliar, count, 1 - gate["false_alarms"])) < _SIGNIFICANCE:
        raise DataError(
            f"The prevalence cannot be estimated, because the images in {data} differ from the training images: {unfamiliar} of "
            f"{count} are unfamiliar. Give it as a number, or train with images like these."
        )
