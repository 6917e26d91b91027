"""The labelled dataset: groups of duplicates and label conflicts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twofold.audit.file_report import file_report
from twofold.core.errors import DataError
from twofold.data import FileList, LabelledFile
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Duplicate
from twofold.embedding import FeatureTable, Metadata

EACH = 30


def dataset(*near: tuple[int, int], each: int = EACH, equal: dict[int, int] | None = None) -> LabelledDataset:
    """`each` images per class, negative ones first; pairs of near duplicates; `equal` maps rows to rows with the same bytes."""
    labels = ["no"] * each + ["yes"] * each
    files = tuple(LabelledFile(Path(f"{row}.png"), label) for row, label in enumerate(labels))
    contents = [(equal or {}).get(row, row) for row in range(len(files))]
    metadata = tuple(Metadata(f"bytes {content}", f"pixels {content}", 9, 9, "PNG", 99) for content in contents)
    features, thumbnails = np.zeros((len(files), 0), np.float32), np.zeros((len(files), 32, 32, 3), np.uint8)
    table = FeatureTable(metadata, (None,) * len(files), features, thumbnails)
    duplicates = tuple(Duplicate(first, second, "near") for first, second in near)
    return LabelledDataset(FileList(files, (), ("no", "yes"), "yes", ()), table, ("no", "yes"), duplicates)


def test_near_duplicates_share_a_group() -> None:
    groups = dataset((0, 1), (1, 2)).groups
    assert groups[0] == groups[1] == groups[2]
    assert len(np.unique(groups)) == 2 * EACH - 2


@pytest.mark.parametrize(("chained", "groups"), [(EACH - 9, 2 * EACH - (EACH - 10)), (EACH - 8, 2 * EACH)])
def test_images_that_are_similar_by_nature_keep_groups_of_their_own(chained: int, groups: int) -> None:
    """Of 30 images, a chain of 21 leaves 10 groups of the class, a chain of 22 would leave 9."""
    similar = dataset(*((row, row + 1) for row in range(chained - 1)))
    assert len(np.unique(similar.groups)) == groups
    assert ("near-duplicates-across-folds" in {note.code for note in similar.notes()}) == (groups == 2 * EACH)


@pytest.mark.parametrize(("each", "chained", "groups"), [(8, 5, 16), (8, 4, 13), (3, 3, 6)])
def test_near_duplicates_never_leave_too_few_groups_for_the_folds(each: int, chained: int, groups: int) -> None:
    similar = dataset(*((row, row + 1) for row in range(chained - 1)), each=each)
    assert len(np.unique(similar.groups)) == groups


def test_an_image_with_conflicting_labels_is_not_trained_on() -> None:
    paths, fingerprints = dataset(equal={EACH: 0}).usable_fingerprints
    assert len(paths) == len(fingerprints) == 2 * EACH - 2
    assert not {"0.png", f"{EACH}.png"} & set(paths)


def test_label_conflicts_that_leave_too_few_images_are_in_the_error() -> None:
    with pytest.raises(
        DataError, match=r"all 5 images of 'no' have both labels, such as 0\.png; all 5 images of 'yes'"
    ):
        dataset(each=5, equal={row + 5: row for row in range(5)}).check_counts(1)
    with pytest.raises(DataError, match="'no' has 2 and 'yes' has 2: 3 other images of 'no'"):
        dataset(each=5, equal={row + 5: row for row in range(3)}).check_counts(3)
    with pytest.raises(DataError, match="add images"):
        dataset(each=5).check_counts(6)


def test_images_of_one_scene_share_a_group_and_are_not_counted_as_duplicates() -> None:
    scenes = replace(dataset(), duplicates=(Duplicate(0, 1, "near"), Duplicate(1, 2, "same-scene")))
    assert len(set(scenes.groups[:3].tolist())) == 1
    (note,) = [note for note in scenes.notes() if note.code == "duplicates"]
    assert note.text.startswith("Duplicates of other images: 1 near. Images that show the same object as another: 1.")
    (alone,) = replace(scenes, duplicates=scenes.duplicates[1:]).test_notes()
    assert "uplicates" not in alone.text


def test_an_image_is_counted_by_its_closest_pair() -> None:
    pairs = (Duplicate(0, 2, "near"), Duplicate(1, 2, "same-scene"))
    (note,) = [note for note in replace(dataset(), duplicates=pairs).notes() if note.code == "duplicates"]
    assert note.text.startswith("Duplicates of other images: 1 near. Each group")


def test_images_of_one_scene_are_not_flagged_and_duplicate_nothing() -> None:
    pairs = (Duplicate(0, 1, "near"), Duplicate(1, 2, "same-scene"), Duplicate(3, EACH, "same-scene"))
    rows = {row.path: row for row in file_report(replace(dataset(), duplicates=pairs))}
    assert (rows["1.png"].reason, rows["1.png"].duplicate_of) == ("near-duplicate", "0.png")
    for path in ("2.png", "3.png", f"{EACH}.png"):
        assert (rows[path].status, rows[path].duplicate_of) == ("used", None)
    assert rows["2.png"].group == rows["0.png"].group
