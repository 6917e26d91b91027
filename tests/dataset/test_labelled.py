"""A sample: which of its pictures stay together."""

from pathlib import Path

import numpy as np
import pytest

from twofold.core.errors import DataError
from twofold.data import FileList, LabelledFile
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Duplicate
from twofold.embedding import FeatureTable, Metadata

EACH = 30


def dataset(*duplicates: tuple[int, int], each: int = EACH, same: dict[int, int] | None = None) -> LabelledDataset:
    """Pictures of each class, negative ones first; these pairs of rows are near copies; `same` rows have the bytes of others."""
    labels = ["no"] * each + ["yes"] * each
    items = tuple(LabelledFile(Path(f"{row}.png"), label) for row, label in enumerate(labels))
    shown = [(same or {}).get(row, row) for row in range(len(items))]
    metadata = tuple(Metadata(f"bytes {row}", f"pixels {row}", 9, 9, "PNG", 99) for row in shown)
    nothing = np.zeros((len(items), 0), np.float32), np.zeros((len(items), 32, 32, 3), np.uint8)
    file_list = FileList(items, (), ("no", "yes"), "yes", ())
    return LabelledDataset(
        file_list, FeatureTable(metadata, (None,) * len(items), *nothing), ("no", "yes"), tuple(near(duplicates))
    )


def near(pairs: tuple[tuple[int, int], ...]) -> list[Duplicate]:
    return [Duplicate(first, second, "near") for first, second in pairs]


def test_near_copies_share_a_group() -> None:
    groups = dataset((0, 1), (1, 2)).groups
    assert groups[0] == groups[1] == groups[2]
    assert len(np.unique(groups)) == 2 * EACH - 2


@pytest.mark.parametrize(("chained", "groups"), [(EACH - 9, 2 * EACH - (EACH - 10)), (EACH - 8, 2 * EACH)])
def test_near_copies_part_no_pictures_that_are_all_alike(chained: int, groups: int) -> None:
    """Of 30 a chain of 21 leaves 10 groups of the class, a chain of 22 would leave 9."""
    alike = dataset(*((row, row + 1) for row in range(chained - 1)))
    assert len(np.unique(alike.groups)) == groups
    assert ("similar-by-nature" in {note.code for note in alike.notes()}) == (groups == 2 * EACH)


@pytest.mark.parametrize(("each", "chained", "groups"), [(8, 5, 16), (8, 4, 13), (3, 3, 6)])
def test_near_copies_do_not_make_folds_impossible_that_equal_ones_allow(each: int, chained: int, groups: int) -> None:
    alike = dataset(*((row, row + 1) for row in range(chained - 1)), each=each)
    assert len(np.unique(alike.groups)) == groups


def test_a_picture_under_both_labels_is_not_among_those_that_are_learned() -> None:
    paths, fingerprints = dataset(same={EACH: 0}).valid_fingerprints
    assert len(paths) == len(fingerprints) == 2 * EACH - 2
    assert not {"0.png", f"{EACH}.png"} & set(paths)


def test_where_all_images_stand_under_both_labels_this_is_said() -> None:
    with pytest.raises(
        DataError, match=r"all 5 images of 'no' stand under both labels, such as 0\.png; all 5 images of 'yes'"
    ):
        dataset(each=5, same={row + 5: row for row in range(5)}).check_counts(1)
    with pytest.raises(DataError, match="'no' has 2 and 'yes' has 2: 3 other images of 'no'"):
        dataset(each=5, same={row + 5: row for row in range(3)}).check_counts(3)
    with pytest.raises(DataError, match="add pictures"):
        dataset(each=5).check_counts(6)
