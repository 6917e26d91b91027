"""report: the record of a bundle and of an evaluation, and where the images of a bundle are found."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_folder

from twofold.bundle import load_bundle
from twofold.core.errors import BundleError, DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import NO_RANGES
from twofold.embedding import Runtime
from twofold.evaluation.curves import roc_band
from twofold.workflows.evaluate import evaluate_bundles
from twofold.workflows.report import ReportData, report_of_bundle, report_of_evaluation, report_of_training
from twofold.workflows.report_images import FileIdentity, locate
from twofold.workflows.thumbnails import COLUMNS, SIDE, make_thumbnails
from twofold.workflows.training_result import TrainingResult


@pytest.fixture(scope="module")
def report(bundle: Path, training: TrainingResult) -> ReportData:
    return report_of_training(load_bundle(bundle), training, thumbnails=True)


def test_the_columns_are_those_of_evaluation_json_the_headline_first(report: ReportData, bundle: Path) -> None:
    result = json.loads((bundle / "evaluation.json").read_text(encoding="utf-8"))
    names = [column.name for column in report.columns]
    assert names == ["test (unseen)", "train (out-of-fold)", "test (inflated)"]  # some drawings resemble one another
    assert report.columns[0].block == result["test"]["leakage"]["test_unseen"]
    assert report.columns[1].block == result["cross_validation"]
    assert report.columns[2].block["confusion"] == result["test"]["confusion"]


def test_the_scored_images_give_the_confusion_matrix_of_their_column(report: ReportData) -> None:
    blocks = {column.name: column.block for column in report.columns}
    for scored in report.scored:
        c = blocks[scored.name]["confusion"]
        sizes = [[len(scored.cell(label, answer)) for answer in (0, 1)] for label in (0, 1)]
        assert sizes == [[c["tn"], c["fp"]], [c["fn"], c["tp"]]]
    assert [scored.name for scored in report.scored] == ["test (unseen)", "train (out-of-fold)"]


def test_every_shown_image_has_a_thumbnail(report: ReportData) -> None:
    assert len(report.thumbnails.places) == 60  # 40 training images and 20 test images, all of them shown


def test_a_report_without_thumbnails_has_none(bundle: Path, training: TrainingResult) -> None:
    assert not report_of_training(load_bundle(bundle), training, thumbnails=False).thumbnails.sheets


def test_the_rule_summary_is_that_of_decide(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    scores = report_of_bundle(loaded).thresholds
    assert scores is not None
    assert scores.rule == loaded.model.rule
    decided = scores.rule.decide(scores.probabilities, scores.familiarity)
    missed = np.mean(decided[scores.labels == 1] == 0)
    assert scores.summary.rates["missed"].value == pytest.approx(missed)


def test_images_that_have_moved_are_found_by_their_content(bundle: Path, drawn: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(drawn, tmp_path / "data"))
    (data / "elsewhere").mkdir()
    for number in range(3):
        (data / "bars" / f"bars-{number:03}.png").rename(data / "elsewhere" / f"renamed-{number}.png")
    (data / "rings" / "rings-000.png").unlink()
    report = report_of_bundle(load_bundle(bundle), data)
    assert report.remarks == (
        "4 of 40 training images are no longer where they were at the training: 3 of them were found elsewhere by their content, "
        "1 is missing.",
    )
    assert ("train", "bars/bars-000.png") in report.thumbnails.places
    assert ("train", "rings/rings-000.png") not in report.thumbnails.places


def test_a_file_of_another_size_in_its_place_is_another_image(tmp_path: Path) -> None:
    draw("bars", 0).save(tmp_path / "a.png")
    size = (tmp_path / "a.png").stat().st_size
    draw("rings", 0).save(tmp_path / "b.png")
    other = FileIdentity("b.png", None, None)
    assert locate(tmp_path, [other, FileIdentity("a.png", size, "0" * 64)], "images").missing == 0
    assert locate(tmp_path, [other, FileIdentity("a.png", size + 1, "0" * 64)], "images").missing == 1


def test_images_in_their_places_need_no_remark(bundle: Path, drawn: Path) -> None:
    assert report_of_bundle(load_bundle(bundle), drawn).remarks == ()


def test_a_folder_that_does_not_exist_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no .*nowhere"):
        report_of_bundle(load_bundle(bundle), tmp_path / "nowhere")


def test_other_images_than_those_of_the_bundle_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = draw_folder(tmp_path / "other", 2, start=500)
    with pytest.raises(DataError, match="other holds none of the 40 training images"):
        report_of_bundle(load_bundle(bundle), other)
    with pytest.raises(DataError, match="other holds none of the 20 test images"):
        report_of_bundle(load_bundle(bundle), test=other)


def test_a_report_of_the_bundle_is_that_of_the_training(bundle: Path, drawn: Path, report: ReportData) -> None:
    again = report_of_bundle(load_bundle(bundle), drawn, drawn.parent / "other")
    assert again.thumbnails == report.thumbnails
    assert [scored.name for scored in again.scored] == ["test (unseen)", "train (out-of-fold)"]
    assert again.remarks == ()


def test_the_test_scores_are_those_of_the_evaluation_to_the_last_digit(
    report: ReportData, training: TrainingResult
) -> None:
    assert training.test is not None
    unseen = training.test.leakage.unseen
    assert unseen is not None
    sample = report.scored[0].sample
    np.testing.assert_array_equal(sample.probabilities, unseen.probabilities)
    np.testing.assert_array_equal(sample.decisions, unseen.sample.decisions)
    np.testing.assert_array_equal(roc_band(sample).low, roc_band(unseen.sample).low)  # the groups are the same, too


def test_test_images_of_a_bundle_that_has_none_are_refused(bundle: Path, drawn: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(bundle, tmp_path / "copied.twofold"))
    (copied / "test_scores.csv").unlink()
    assert [scored.name for scored in report_of_bundle(load_bundle(copied)).scored] == ["train (out-of-fold)"]
    with pytest.raises(UsageError, match="holds no test_scores.csv"):
        report_of_bundle(load_bundle(copied), test=drawn)


def test_altered_test_scores_are_refused(bundle: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(bundle, tmp_path / "copied.twofold"))
    with (copied / "test_scores.csv").open("a", encoding="utf-8") as file:
        file.write("a,bars,0,0.5,,1,0\n")
    with pytest.raises(BundleError, match="altered"):
        report_of_bundle(load_bundle(copied))


def test_a_bundle_without_a_file_report_has_a_report(bundle: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(bundle, tmp_path / "copied.twofold"))
    (copied / "files.csv").unlink()
    assert report_of_bundle(load_bundle(copied)).files == ()
    with pytest.raises(BundleError, match="holds no files.csv"):
        report_of_bundle(load_bundle(copied), tmp_path)
    (copied / "evaluation.json").unlink()
    with pytest.raises(BundleError, match="holds no evaluation.json"):
        report_of_bundle(load_bundle(copied))


def test_an_evaluation_shows_the_images_that_it_scored(bundle: Path, runtime: Runtime, tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "more", 6, start=200)
    (data / "bars" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    loaded = load_bundle(bundle)
    result = evaluate_bundles([loaded], data, DataOptions(), runtime, positive=None)
    report = report_of_evaluation(loaded, "drawn.twofold", result, thumbnails=True)
    assert [column.name for column in report.columns] == ["test (unseen)", "test (inflated)"]
    assert result.unseen is not None
    assert report.columns[0].block == result.unseen.as_json()
    assert len(report.scored[0].paths) == len(result.unseen.labels)
    assert set(report.scored[0].paths) < {path for _, path in report.thumbnails.places}  # with the leaked ones
    assert {pair.first[0] for pair in report.pairs} == {"test"}
    assert [(file.path, file.reason) for file in report.files] == [("bars/broken.png", "truncated")]


def test_thresholds_of_a_swapped_evaluation_are_not_those_of_the_bundle(
    bundle: Path, runtime: Runtime, tmp_path: Path
) -> None:
    loaded = load_bundle(bundle)
    data = draw_folder(tmp_path / "more", 6, start=200)
    result = evaluate_bundles([loaded], data, DataOptions(), runtime, positive=loaded.model.classes[0])
    report = report_of_evaluation(loaded, "drawn.twofold", result, thumbnails=False)
    assert report.thresholds is None
    assert report.classes == loaded.model.classes[::-1]


def test_two_bundles_have_a_column_each(bundle: Path, runtime: Runtime, tmp_path: Path) -> None:
    loaded = load_bundle(bundle)
    data = draw_folder(tmp_path / "more", 6, start=200)
    result = evaluate_bundles([loaded, loaded], data, DataOptions(), runtime, positive=None)
    report = report_of_evaluation(loaded, "drawn.twofold", result, thumbnails=False)
    names = [column.name for column in report.columns]
    assert names == ["first (unseen)", "first (inflated)", "second (unseen)", "second (inflated)"]
    assert report.scored[0].name == names[0]


def test_cells_are_ordered_worst_first(report: ReportData) -> None:
    scored = report.scored[0]
    probabilities = np.linspace(0.05, 0.95, len(scored.sample.labels))
    decisions = scored.rule.answer(probabilities)
    mixed = replace(scored, sample=replace(scored.sample, probabilities=probabilities, decisions=decisions))
    threshold = scored.rule.threshold
    for label in (0, 1):
        for answer in (0, 1):
            distance = np.abs(probabilities[mixed.cell(label, answer)] - threshold)
            assert (np.diff(distance if label == answer else -distance) >= 0).all()


def test_a_thumbnail_shows_the_whole_image(tmp_path: Path) -> None:
    image = np.zeros((50, 200, 3), np.uint8)
    image[:, :100] = (250, 0, 0)
    image[:, 100:] = (0, 0, 250)
    thumbnails = make_thumbnails({"a": image, "b": tmp_path / "missing.png"}, NO_RANGES, 10**6)
    assert thumbnails.places == {"a": (0, 0)}
    from io import BytesIO

    from PIL import Image

    sheet = np.asarray(Image.open(BytesIO(thumbnails.sheets[0].jpeg)))
    assert sheet.shape == (SIDE, COLUMNS * SIDE, 3)
    left, right, grey = sheet[SIDE // 2, 10], sheet[SIDE // 2, SIDE - 10], sheet[10, SIDE // 2]
    assert left[0] > 200 > 60 > left[2]
    assert right[2] > 200 > 60 > right[0]
    assert np.ptp(grey) < 10
