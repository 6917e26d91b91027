"""The audit of labelled images, from folder to findings."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageOps
from scenes import CHANGES, scene

from twofold.core.errors import DataError
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions
from twofold.embedding import Runtime
from twofold.workflows.audit import AuditResult, audit


def lay_out(folder: Path, qualities: tuple[int, int] = (85, 85), count: int = 60) -> Path:
    """Scenes under two labels that say nothing of them, as JPEG files of these qualities."""
    for label in ("one", "two"):
        (folder / label).mkdir(parents=True)
    for number in range(2 * count):
        label, quality = (("one", qualities[0]), ("two", qualities[1]))[number % 2]
        scene(number, (96, 72)).save(folder / label / f"{number}.jpg", quality=quality)
    return folder


def audited(folder: Path, runtime: Runtime, **options: object) -> AuditResult:
    return audit(folder, DataOptions(), BackboneOptions(), CrossValidationOptions(), runtime, **options)  # type: ignore[arg-type]


def test_a_label_that_can_be_read_off_the_quality_of_the_files_is_named(tmp_path: Path, runtime: Runtime) -> None:
    found = audited(lay_out(tmp_path / "data", (85, 60)), runtime, quick=True)
    shortcuts = {shortcut["feature"]: shortcut for shortcut in found.as_json()["shortcuts"]}
    assert shortcuts["JPEG quality"]["auc"]["low"] > 0.9
    assert set(shortcuts["JPEG quality"]["quantiles"]["one"]) == {85.0}
    assert set(shortcuts["JPEG quality"]["quantiles"]["two"]) == {60.0}
    assert "shortcut" in {note.code for note in found.notes}


def test_a_label_that_can_be_read_off_the_colour_of_the_border_is_named(tmp_path: Path, runtime: Runtime) -> None:
    """Of two borders that are as bright and as colourful as one another."""
    colours = {"one": (200, 60, 60), "two": (60, 60, 200)}
    for number in range(120):
        label = ("one", "two")[number % 2]
        (tmp_path / label).mkdir(exist_ok=True)
        framed = ImageOps.expand(scene(number, (96, 72)), 12, colours[label])
        framed.save(tmp_path / label / f"{number}.png")
    shortcuts = {shortcut["feature"] for shortcut in audited(tmp_path, runtime, quick=True).as_json()["shortcuts"]}
    assert {"border redness", "border blueness"} <= shortcuts


def test_where_groups_are_too_few_for_folds_the_rest_is_found_all_the_same(tmp_path: Path, runtime: Runtime) -> None:
    """Groups span both classes, so that each class has enough of them but no fold has both."""
    data = lay_out(tmp_path / "data", count=20)
    with (tmp_path / "list.csv").open("w", encoding="utf-8") as file:
        file.write("path,label,group\n")
        for path in sorted(data.rglob("*.jpg")):
            file.write(f"{path},{path.parent.name},{int(path.stem) % 2 if int(path.stem) > 3 else path.stem}\n")
    found = audited(tmp_path / "list.csv", runtime).as_json()
    assert found["statuses"]["used"] == 40
    assert found["label_errors_expected"] is None


def test_random_labels_have_no_findings(tmp_path: Path, runtime: Runtime) -> None:
    found = audited(lay_out(tmp_path / "data"), runtime).as_json()
    assert found["shortcuts"] == []
    assert found["duplicates"] == []
    assert found["learning_curve"]["counts"] == {"one": 60, "two": 60}
    assert found["statuses"]["skipped"] == 0


def test_near_duplicates_are_listed_with_whether_their_labels_agree(tmp_path: Path, runtime: Runtime) -> None:
    data = lay_out(tmp_path / "data", count=20)
    CHANGES["half"](scene(0, (96, 72))).save(data / "one" / "small.png")
    CHANGES["mirrored"](scene(2, (96, 72))).save(data / "two" / "turned.png")
    duplicates = {Path(pair["path"]).name: pair for pair in audited(data, runtime, quick=True).as_json()["duplicates"]}
    assert Path(duplicates["small.png"]["duplicate_of"]).name == "0.jpg"
    assert duplicates["small.png"]["labels_agree"]
    assert Path(duplicates["turned.png"]["duplicate_of"]).name == "2.jpg"
    assert not duplicates["turned.png"]["labels_agree"]


def test_images_of_other_data_are_found_whatever_their_classes(tmp_path: Path, runtime: Runtime) -> None:
    data, flat = lay_out(tmp_path / "data", count=20), tmp_path / "flat"
    flat.mkdir()
    scene(4, (96, 72)).resize((48, 36)).save(flat / "x.png")
    scene(999, (96, 72)).save(flat / "y.png")
    (leak,) = audited(data, runtime, against=flat, quick=True).as_json()["against"]
    assert (Path(leak["path"]).name, Path(leak["duplicate_of"]).name, leak["kind"]) == ("4.jpg", "x.png", "near")
    (tmp_path / "list.csv").write_text("path,label\nflat/y.png,any\nflat/x.png,any\n")
    (leak,) = audited(data, runtime, against=tmp_path / "list.csv", quick=True).as_json()["against"]
    assert Path(leak["duplicate_of"]).name == "x.png"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        audited(data, runtime, against=tmp_path / "empty", quick=True)
    with pytest.raises(DataError, match="There is no"):
        audited(data, runtime, against=tmp_path / "emtpy.csv", quick=True)


def test_other_data_may_be_an_archive_of_any_name_and_a_damaged_one_is_an_error(
    tmp_path: Path, runtime: Runtime
) -> None:
    data = lay_out(tmp_path / "data", count=20)
    packed = Path(shutil.make_archive(str(tmp_path / "others"), "zip", data / "one"))
    named = packed.rename(tmp_path / "download")
    assert len(audited(data, runtime, quick=True, against=named).as_json()["against"]) == 20
    broken = tmp_path / "broken.zip"
    broken.write_bytes(named.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"broken\.zip .*(cut short|damaged)"):
        audited(data, runtime, quick=True, against=broken)


def test_images_that_differ_outside_of_what_the_network_sees_are_no_conflict(tmp_path: Path, runtime: Runtime) -> None:
    """They are near copies under two labels, each of which may be right."""
    data = lay_out(tmp_path / "data", count=20)
    whole = scene(500, (320, 180))
    whole.save(data / "one" / "whole.png")
    whole.paste((255, 0, 0), (0, 0, 30, 30))
    whole.save(data / "two" / "marked.png")
    found = audited(data, runtime).as_json()
    assert found["reasons"].get("conflict") is None
    assert found["statuses"]["skipped"] == 0


def test_unreadable_files_of_other_data_are_counted_in_a_note(tmp_path: Path, runtime: Runtime) -> None:
    data, flat = lay_out(tmp_path / "data", count=4), tmp_path / "flat"
    flat.mkdir()
    (flat / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(12))
    (flat / "empty.jpg").touch()
    shutil.copy(data / "one" / "0.jpg", flat / "0.jpg")
    found = audited(data, runtime, against=flat, quick=True)
    assert [leak["kind"] for leak in found.as_json()["against"]] == ["exact"]
    (note,) = [note for note in found.notes if note.code == "against-skipped"]
    assert "1 empty-file, 1 unsupported-format" in note.text


def test_with_few_images_labels_are_not_judged(tmp_path: Path, runtime: Runtime) -> None:
    found = audited(lay_out(tmp_path / "data", count=4), runtime).as_json()
    assert found["label_errors_expected"] is None
    assert found["label_issues"] == found["shortcuts"] == []
    assert "learning_curve" not in found


def test_a_wrong_label_is_the_first_possible_label_error(drawn: Path, tmp_path: Path, runtime: Runtime) -> None:
    data = shutil.copytree(drawn, tmp_path / "data")
    (data / "bars" / "bars-007.png").rename(data / "rings" / "bars-007.png")
    found = audited(data, runtime)
    doubts = found.audit.p_label_error
    assert Path(found.audit.dataset.paths[int(np.argmax(doubts))]).name == "bars-007.png"
