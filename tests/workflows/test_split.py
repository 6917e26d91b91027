import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_folder

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files
from twofold.embedding import Runtime
from twofold.workflows.split import SplitResult, split


def quick_split(data: Path, out: Path, runtime: Runtime, fraction: float = 0.25, **options: int) -> SplitResult:
    return split(data, out, fraction, DataOptions(), runtime, quick=True, **options)


def rows(result: SplitResult, part: str) -> list[dict[str, str]]:
    with result.files[part].open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def codes(result: SplitResult) -> set[str]:
    return {note.code for note in result.notes}


def listed(result: SplitResult, part: str) -> set[Path]:
    """The images of the list as training reads it."""
    return {Path(os.path.abspath(file.path)) for file in list_labelled_files(result.files[part], DataOptions()).files}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("split") / "images", 16)


def test_every_image_is_in_one_part_and_a_quarter_of_each_class_in_the_test_part(
    data: Path, tmp_path: Path, runtime: Runtime
) -> None:
    result = quick_split(data, tmp_path / "new" / "out", runtime)
    train, test = listed(result, "train"), listed(result, "test")
    assert not train & test
    assert train | test == set(data.rglob("*.png"))
    assert result.counts == {"train": {"bars": 12, "rings": 12}, "test": {"bars": 4, "rings": 4}}
    assert {row["label"] for row in rows(result, "test")} == {"bars", "rings"}
    assert list(rows(result, "test")[0]) == ["path", "label"]


def test_duplicates_are_in_one_part_whatever_the_seed(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    folder = tmp_path / "images"
    shutil.copytree(data, folder)
    for number in range(8):
        shutil.copy(folder / "bars" / f"bars-{number:03d}.png", folder / "bars" / f"again-{number:03d}.png")
    tests = set()
    for seed in range(4):
        result = quick_split(folder, tmp_path / str(seed), runtime, 0.5, seed=seed)
        names = {row["path"]: row["group"] for part in ("train", "test") for row in rows(result, part)}
        for part in ("train", "test"):
            stems = {path.stem for path in listed(result, part) if path.parent.name == "bars"}
            for number in range(8):
                assert (f"bars-{number:03d}" in stems) == (f"again-{number:03d}" in stems)
        assert len(set(filter(None, names.values()))) == 8
        assert result.groups["train"] + result.groups["test"] == 32
        assert "duplicates" in codes(result)
        tests.add(frozenset(listed(result, "test")))
    assert len(tests) == 4  # each seed another split
    again = quick_split(folder, tmp_path / "again", runtime, 0.5, seed=0)
    assert listed(again, "test") == listed(quick_split(folder, tmp_path / "0", runtime, 0.5, force=True), "test")


def test_groups_of_the_data_are_kept_and_joined_with_duplicates(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    shutil.copy(data / "bars" / "bars-000.png", tmp_path / "copy.png")
    table = ["path,label,group", f"{tmp_path / 'copy.png'},bars,"]
    for label in ("bars", "rings"):
        for number in range(16):
            table.append(f"{data / label / f'{label}-{number:03d}.png'},{label},{label}{number // 4}")
    (tmp_path / "list.csv").write_text("\n".join(table), encoding="utf-8")
    result = quick_split(tmp_path / "list.csv", tmp_path / "out", runtime)
    groups = {part: {row["group"] for row in rows(result, part)} for part in ("train", "test")}
    assert groups["train"] | groups["test"] == {
        f"{label}{number}" for label in ("bars", "rings") for number in range(4)
    }
    assert not groups["train"] & groups["test"]
    copies = [
        row["group"] for part in ("train", "test") for row in rows(result, part) if row["path"].endswith("copy.png")
    ]
    assert copies == ["bars0"]
    assert "few-images-to-train" not in codes(result)


def test_a_list_beside_its_images_has_relative_paths_and_moves_with_them(
    data: Path, tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data, tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    result = quick_split(Path("images"), Path("images"), runtime)
    assert rows(result, "test")[0]["path"].startswith("bars" + os.sep)
    (tmp_path / "images").rename(tmp_path / "moved")
    moved = list_labelled_files(tmp_path / "moved" / "train.csv", DataOptions())
    assert all(file.path.is_file() for file in moved.files)


def test_names_that_are_not_utf8_are_read_back(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    folder = tmp_path / "images"
    shutil.copytree(data, folder)
    odd = folder / "bars" / os.fsdecode(b'a,"\xff\n.png')
    try:
        draw("bars", 99).save(tmp_path / "new.png")
        (tmp_path / "new.png").rename(odd)
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    result = quick_split(folder, tmp_path / "out", runtime)
    assert odd in listed(result, "train") | listed(result, "test")


def test_a_name_that_a_list_cannot_hold_is_an_error_and_nothing_is_written(
    data: Path, tmp_path: Path, runtime: Runtime
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(data, folder)
    (folder / "bars").rename(folder / "bars ")
    with pytest.raises(DataError, match=r"1 name of files, classes or groups with white space .*'bars '"):
        quick_split(folder, tmp_path / "out", runtime)
    assert not (tmp_path / "out").exists()


def test_unreadable_files_and_images_under_both_labels_are_in_no_part(
    data: Path, tmp_path: Path, runtime: Runtime
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(data, folder)
    (folder / "bars" / "text.png").write_text("no image")
    shutil.copy(folder / "bars" / "bars-000.png", folder / "rings" / "wrong.png")
    result = quick_split(folder, tmp_path / "out", runtime)
    names = {path.name for part in ("train", "test") for path in listed(result, part)}
    assert len(names) == 31
    assert not names & {"text.png", "wrong.png", "bars-000.png"}
    assert codes(result) >= {"files-skipped", "conflicts"}


@pytest.mark.parametrize("fraction", [0.0, 1.0, 25.0, -0.1, float("nan")])
def test_a_fraction_outside_of_0_and_1_is_a_usage_error(
    fraction: float, data: Path, tmp_path: Path, runtime: Runtime
) -> None:
    with pytest.raises(UsageError, match="`test` must be a fraction between 0 and 1"):
        quick_split(data, tmp_path, runtime, fraction)


def test_a_part_without_a_class_is_an_error(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    with pytest.raises(DataError, match=r"cannot be divided into a training and a test part: .* or change `test`"):
        quick_split(data, tmp_path / "out", runtime, 0.001)
    assert not (tmp_path / "out").exists()


def test_lists_are_replaced_only_on_request_and_other_files_never(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    quick_split(data, tmp_path, runtime)
    with pytest.raises(UsageError, match="train.csv exists already; replace it with `force=True`"):
        quick_split(data, tmp_path, runtime)
    (tmp_path / "train.csv").unlink()
    (tmp_path / "test.csv").write_text("mine")
    with pytest.raises(UsageError, match="test.csv exists and is not a list of images"):
        quick_split(data, tmp_path, runtime, force=True)
    assert not (tmp_path / "train.csv").exists()
    with pytest.raises(UsageError, match="must be a folder for two lists"):
        quick_split(data, tmp_path / "test.csv", runtime)


def test_large_groups_and_small_training_parts_are_noted(data: Path, tmp_path: Path, runtime: Runtime) -> None:
    table = ["path,label,group"]
    for label in ("bars", "rings"):
        for number in range(16):
            group = "" if label == "rings" else number // 8
            table.append(f"{data / label / f'{label}-{number:03d}.png'},{label},{group}")
    (tmp_path / "list.csv").write_text("\n".join(table), encoding="utf-8")
    result = quick_split(tmp_path / "list.csv", tmp_path / "out", runtime)
    assert result.counts["test"]["bars"] == 8
    texts = {note.code: note.text for note in result.notes}
    assert "50% of bars instead of 25%" in texts["uneven-parts"]
    assert "only 8 bars" in texts["few-images-to-train"]
    sizes = np.array(list(result.counts["train"].values())) + list(result.counts["test"].values())
    assert sizes.tolist() == [16, 16]
