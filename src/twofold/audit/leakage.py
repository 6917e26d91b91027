"""Leakage: test images that duplicate training images, or show the same objects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.notes import Note
from twofold.dataset.labelled import LabelledDataset, without_distinct
from twofold.duplicates import DuplicateKind, FingerprintIndex, confirm_matches, find_in_index
from twofold.evaluation import Evaluation, with_positive

LEAKAGE: Final = "leakage"
_SAME_OBJECT: Final = "to show the same object as a training image"


@dataclass(frozen=True, slots=True)
class LeakedImage:
    """A test image, and the path of the training image that it duplicates or, with kind `same-scene`, whose object it shows."""

    path: str
    duplicate_of: str
    kind: DuplicateKind


@dataclass(frozen=True, slots=True, eq=False)
class Leakage:
    """Test images that duplicate training images or show the same objects.

    `unseen` is the evaluation without them, None if no image is left or none is leaked.
    """

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
        advice = f"use {columns}" if self.unseen is not None else "no other test image is left, so test on other images"
        return [Note(LEAKAGE, f"{self._text()}: {advice}.")]

    def _text(self) -> str:
        scenes = [image for image in self.images if image.kind == "same-scene"]
        copies = [image for image in self.images if image.kind != "same-scene"]
        first = (copies or scenes)[0]
        them = "it" if len(self.images) == 1 else "them"
        if not copies:
            text = f"{_count(scenes, 'appears', 'appear')} {_SAME_OBJECT} ({first.path}: {first.duplicate_of})"
            return f"{text}. Scores on {them} may be inflated"
        copied = _count(copies, "duplicates a training image", "duplicate training images")
        text = f"{copied} ({first.path} = {first.duplicate_of})"
        if scenes:
            text += f", and {len(scenes)} {'appears' if len(scenes) == 1 else 'appear'} {_SAME_OBJECT}"
        return f"{text}. Scores on {them} are inflated"


def _count(images: Sequence[LeakedImage], one: str, many: str) -> str:
    return f"1 test image {one}" if len(images) == 1 else f"{len(images)} test images {many}"


def find_leakage(
    test: LabelledDataset, index: FingerprintIndex, training: LabelledDataset | None = None
) -> dict[int, LeakedImage]:
    """The test images that duplicate an image of the index or show the same object, by their positions in the file list.

    All commands use this function. It does not use features, so all of them find the same images by the index. Where the dataset
    `training` of the index is given, the images are compared at full size.
    """
    positions, (paths, fingerprints) = test.table.used[test.valid].tolist(), test.usable_fingerprints
    matches = find_in_index(fingerprints, index)
    if training is not None and training.usable_images is not None and test.usable_images is not None:
        sides = fingerprints, training.usable_fingerprints[1]
        matches = confirm_matches(matches, sides, (test.usable_images, training.usable_images))
    matches = without_distinct(matches, fingerprints.keys, test.file_list.distinct, index.keys)
    return {
        positions[match.first]: LeakedImage(paths[match.first], index.paths[match.second], match.kind)
        for match in matches
    }


def unseen_rows(test: LabelledDataset, leaked: Mapping[int, LeakedImage], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the usable rows whose images duplicate no training image."""
    return rows[~np.isin(test.table.used[rows], list(leaked))]
