"""An audit in parts has the metadata, the read errors and the duplicates of an audit in memory."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from part_predictors import part_bytes, predict_paths, rows, write_list
from PIL import Image
from pyarrow import parquet
from scenes import CHANGES, scene

from twofold.cli import main
from twofold.core.errors import UsageError
from twofold.core.options import RuntimeOptions
from twofold.core.progress import no_progress
from twofold.data import NO_RANGES, iterate_files
from twofold.dataset.labelled import fingerprints_of, full_images
from twofold.duplicates import FullImages, find_duplicates
from twofold.embedding import Runtime
from twofold.workflows.scale.audit_parts import PartsAudit, audit_parts
from twofold.workflows.scale.fingerprint_columns import metadata_of
from twofold.workflows.scale.prediction_rows import printable_path
from twofold.workflows.scale.scan_rows import ImageScanner

OPTIONS = RuntimeOptions(threads=2)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 scenes in two folders, changed ones in a third, copies, files that are no images, and a link to nowhere."""
    folder = tmp_path_factory.mktemp("mixed")
    for name in ("a", "b", "changed", "deep/er"):
        (folder / name).mkdir(parents=True)
    for number in range(30):
        scene(number).save(folder / "ab"[number % 2] / f"{number:02}.jpg", quality=92)
    for number, change in enumerate(CHANGES.values()):
        change(scene(number)).save(folder / "changed" / f"{number:02}.png")
    scene(9).resize((130, 100)).save(folder / "a" / "line\nbreak.png")
    shutil.copy(folder / "a" / "00.jpg", folder / "b" / "copy.jpg")
    shutil.copy(folder / "a" / "00.jpg", folder / "deep" / "er" / "again.jpg")
    image = Image.open(folder / "a" / "02.jpg")
    image.save(folder / "a" / "other bytes.png")
    Image.fromarray(np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) * 32).save(folder / "b" / "sixteen.png")
    (folder / "b" / "cut.jpg").write_bytes((folder / "b" / "01.jpg").read_bytes()[:2000])
    (folder / "notes.txt").write_text("no image")
    (folder / "b" / "empty.jpg").touch()
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    return folder


@pytest.fixture(scope="module")
def out(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PartsAudit]:
    folder = tmp_path_factory.mktemp("audit") / "out"
    return folder, audit_parts(str(mixed), folder, "local", OPTIONS, no_progress)


def pairs(folder: Path) -> list[tuple[str, str, str]]:
    table = parquet.read_table(folder / "duplicates.parquet").to_pydict()
    return list(zip(table["first"], table["second"], table["kind"], strict=True))


def test_rows_are_those_of_a_scan_in_memory(mixed: Path, out: tuple[Path, PartsAudit]) -> None:
    paths = sorted(iterate_files([mixed]))
    table = Runtime(Path("/dev/null"), OPTIONS).scan(paths, NO_RANGES)
    audited = rows(out[0])
    assert [row["path"] for row in audited] == [printable_path(str(path)) for path in paths]
    columns: dict[str, Any] = {name: [row[name] for row in audited] for name in audited[0]}
    assert columns["reason"] == [error and error.code for error in table.read_errors]
    assert columns["pixels"] == [metadata and metadata.pixel_key for metadata in table.metadata]
    assert metadata_of(columns) == [
        metadata and replace(metadata, pixels=metadata.pixel_key) for metadata in table.metadata
    ]
    thumbnails = b"".join(thumbnail for thumbnail in columns["thumbnail"] if thumbnail is not None)
    assert thumbnails == table.thumbnails.tobytes()
    reasons = Counter(reason for reason in columns["reason"] if reason is not None)
    assert out[1].read_errors == dict(reasons) != {}


def test_duplicates_are_those_of_an_audit_in_memory(mixed: Path, out: tuple[Path, PartsAudit]) -> None:
    paths, runtime = sorted(iterate_files([mixed])), Runtime(Path("/dev/null"), OPTIONS)
    table = runtime.scan(paths, NO_RANGES)
    expected = find_duplicates(fingerprints_of(table), full_images(paths, table, runtime))
    names = [printable_path(str(paths[row])) for row in table.used]
    assert pairs(out[0]) == [(names[pair.first], names[pair.second], pair.kind) for pair in expected]
    assert any("\n" in str(paths[table.used[pair.first]]) and pair.kind == "near" for pair in expected)
    counts = Counter(pair.kind for pair in expected)
    assert counts["exact"] == 2
    assert counts["pixels"] == 1
    assert counts["near"] >= len(CHANGES) - 2
    kinds = out[1].duplicates.kinds
    assert {kind: count.pairs for kind, count in kinds.items() if count.pairs} == counts
    assert (kinds["exact"].groups, kinds["pixels"].groups) == (1, 1)


def test_a_later_run_keeps_parts_and_computes_duplicates_anew(mixed: Path, tmp_path: Path) -> None:
    paths = [*sorted((mixed / "a").glob("*.jpg")), *sorted((mixed / "changed").iterdir())]
    listed, folder = tmp_path / "images.txt", tmp_path / "out"
    audit_parts(str(write_list(listed, map(str, paths[:-3]))), folder, "local", OPTIONS, no_progress)
    before, fewer = part_bytes(folder), pairs(folder)
    (folder / ".duplicates.parquet.0a1b2c3d").touch()  # of a run that was killed
    write_list(listed, [*map(str, paths), str(tmp_path / "gone.jpg")])
    result = audit_parts(str(listed), folder, "local", OPTIONS, no_progress)
    assert (result.run.images, result.run.finished_before) == (len(paths) + 1, 1)
    assert before.items() < part_bytes(folder).items()
    assert set(fewer) < set(pairs(folder))
    assert sorted(path.name for path in folder.iterdir()) == [
        "duplicates.parquet", "lock", "parts", "plan-1.txt", "plan-2.txt", "run.json",
    ]  # fmt: skip
    assert result.read_errors == {"missing": 1}


def test_images_that_are_gone_after_their_scan_are_compared_by_their_thumbnails(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(25):
        scene(number).save(images / f"{number:02}.png")
    scene(3).resize((80, 60)).save(images / "half.png")
    listed = write_list(tmp_path / "images.txt", map(str, sorted(images.iterdir())))
    table = Runtime(Path("/dev/null"), OPTIONS).scan(sorted(images.iterdir()))
    audit_parts(str(listed), tmp_path / "out", "local", OPTIONS, no_progress)
    shutil.rmtree(images)
    result = audit_parts(str(listed), tmp_path / "out", "local", OPTIONS, no_progress)
    expected = find_duplicates(fingerprints_of(table), FullImages(lambda row: None))
    assert [(pair.first, pair.second) for pair in expected] == [(3, 25)]
    assert pairs(tmp_path / "out") == [(str(images / "03.png"), str(images / "half.png"), expected[0].kind)]
    assert (result.run.finished_before, result.read_errors) == (1, {})


def test_objects_of_buckets_have_the_rows_of_their_bytes(mixed: Path) -> None:
    path = mixed / "a" / "00.jpg"
    scanner = ImageScanner(OPTIONS)
    of_path, of_bytes, damaged = scanner.stream([path, path.read_bytes(), b"no image"])
    assert of_path.metadata == of_bytes.metadata
    assert np.array_equal(of_path.thumbnail, of_bytes.thumbnail)  # type: ignore[arg-type]
    assert (of_path.path, of_bytes.path, of_path.reason) == (str(path), "", None)
    assert damaged.metadata is None
    assert damaged.reason == "not-an-image"


def test_the_size_limit_is_a_part_of_the_run(mixed: Path, out: tuple[Path, PartsAudit]) -> None:
    small = RuntimeOptions(max_megapixels=0.01)
    with pytest.raises(UsageError, match=r"other options \(max_megapixels\)"):
        audit_parts(str(mixed), out[0], "local", small, no_progress)
    scanned = ImageScanner(small).stream([mixed / "a" / "00.jpg"])
    assert [image.reason for image in scanned] == ["too-large"]


def test_a_folder_of_predictions_is_refused_and_one_of_an_audit_too(
    mixed: Path, out: tuple[Path, PartsAudit], tmp_path: Path
) -> None:
    listed = write_list(tmp_path / "images.txt", ["1.jpg"])
    predict_paths([listed], tmp_path / "predictions", tmp_path / "processes")
    with pytest.raises(UsageError, match="holds the parts of predict, not of audit: give another folder"):
        audit_parts(str(listed), tmp_path / "predictions", "local", OPTIONS, no_progress)
    with pytest.raises(UsageError, match="holds the parts of audit, not of predict: give another folder"):
        predict_paths([mixed], out[0], tmp_path / "processes")


def test_the_command_prints_a_summary_and_json(
    mixed: Path, out: tuple[Path, PartsAudit], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", str(mixed), "--engine", "local", "--out", str(out[0])]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "same bytes: 2 pairs in 1 group" in text
    assert f"4 images, the first is {mixed / 'a' / '00.jpg'}" in text
    assert "1 part, 1 of them before" in text
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["duplicates"]["exact"] == {"pairs": 2, "groups": 1}
    assert (record["finished_before"], record["parts"]) == (1, 1)
    assert record["images"] == len(rows(out[0]))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["."], 2, "--engine needs --out"),
        ([".", "--out", "new", "--against", "."], 2, "leave --against out"),
        ([".", "--out", "new", "--classes", "a", "b", "--force"], 2, "leave --force, --classes out"),
        ([".", "--out", "new", "--backbone", "b0"], 2, "leave --backbone out"),
        (["labels.csv", "--out", "new"], 2, "which --engine does not read"),
        (["no-such-folder", "--out", "new"], 1, "There is no file or folder no-such-folder"),
        ([".", "--out", "labels.csv"], 2, "labels.csv is a file"),
    ],
)
def test_wrong_usage_is_one_sentence_and_makes_nothing(
    words: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\na.jpg,cat\n")
    assert main(["audit", *words, "--engine", "local"]) == code
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
