"""Leakage: test images that duplicate training images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.notes import Note
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import DuplicateKind, FingerprintIndex, find_in_index
from twofold.evaluation import Evaluation, with_positive

LEAKAGE: Final = "leakage"


@dataclass(frozen=True, slots=True)
class LeakedImage:
    """A test image, and the path of the training image that it duplicates."""

    path: str
    duplicate_of: str
    kind: DuplicateKind


@dataclass(frozen=True, slots=True, eq=False)
class Leakage:
    """Test images that duplicate training images. `unseen` is the evaluation without them, None if no image is left or none is
    leaked."""

    images: tuple[LeakedImage, ...] = field(repr=False)
    unseen: Evaluation | None

    def as_json(self) -> dict[str, Any]:
        """The block "leakage"; empty if no image is leaked."""
        if not self.images:
            return {}
        unseen = None if self.unseen is None else self.unseen.as_json()
        return {"leakage": {"images": [asdict(image) for image in self.images], "test_unseen": unseen}}

    def headline(self, evaluation: Evaluation) -> tuple[str, Evaluation]:
        """The headline of a test set, its column name and evaluation: without the leaked images, if any other image is left."""
        if self.unseen is not None:
            return "test (unseen)", self.unseen
        return "test (inflated)" if self.images else "test", evaluation

    def with_positive(self, positive: str) -> "Leakage":
        """The same leakage, evaluated with this class as the positive one."""
        return replace(self, unseen=None if self.unseen is None else with_positive(positive, self.unseen))

    def notes(self, columns: str = 'the column "test (unseen)"') -> list[Note]:
        """The warning about the leaked images; `columns` names the scores without them."""
        if not self.images:
            return []
        pair = f"{self.images[0].path} = {self.images[0].duplicate_of}"
        advice = f"use {columns}" if self.unseen is not None else "no other test image is left, so test on other images"
        if len(self.images) == 1:
            text = f"1 test image duplicates a training image ({pair}). Scores on it are inflated"
        else:
            text = f"{len(self.images)} test images duplicate training images ({pair}). Scores on them are inflated"
        return [Note(LEAKAGE, f"{text}: {advice}.")]


def find_leakage(test: LabelledDataset, index: FingerprintIndex) -> dict[int, LeakedImage]:
    """The test images that duplicate an image of the index, by their positions in the file list.

    All commands use this function. It does not use features, so all of them find the same images.
    """
    positions, (paths, fingerprints) = test.table.used[test.valid].tolist(), test.usable_fingerprints
    matches = find_in_index(fingerprints, index)
    return {
        positions[match.first]: LeakedImage(paths[match.first], index.paths[match.second], match.kind)
        for match in matches
    }


def unseen_rows(test: LabelledDataset, leaked: Mapping[int, LeakedImage], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the usable rows whose images duplicate no training image."""
    return rows[~np.isin(test.table.used[rows], list(leaked))]
