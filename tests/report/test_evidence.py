"""Explanations as overlays, files and lines."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.bundle.model import Prediction
from twofold.core.errors import UsageError
from twofold.data import ReadError
from twofold.report.evidence_files import plan_files, write_files
from twofold.report.evidence_layer import layer_png
from twofold.report.evidence_overlay import overlay
from twofold.report.explanation_text import checks_lines, explanation_record, format_explanation, format_region
from twofold.workflows.evidence_checks import DeletionStep, EvidenceChecks
from twofold.workflows.evidence_region import Region
from twofold.workflows.explain import Explanation

GREY = np.full((20, 30, 3), 90, np.uint8)


def test_evidence_for_the_positive_class_is_orange_and_for_the_other_blue() -> None:
    evidence = np.zeros((10, 15), np.float32)
    evidence[:, :5], evidence[:, 10:] = 1, -1
    drawn = overlay(GREY, evidence).astype(int)
    red, blue = drawn[..., 0], drawn[..., 2]
    assert drawn.shape == GREY.shape
    assert (red[:, :6] > blue[:, :6] + 50).all()
    assert (blue[:, 24:] > red[:, 24:] + 50).all()
    assert (red[:, 14] == blue[:, 14]).all()


def test_a_map_without_evidence_is_drawn_in_grey() -> None:
    drawn = overlay(GREY, np.zeros((4, 4), np.float32))
    assert (drawn == drawn[0, 0, 0]).all()


def test_weaker_evidence_is_fainter_on_the_scale_of_another_map() -> None:
    image, evidence = np.full((1, 1, 3), 200, np.uint8), np.ones((1, 1), np.float32)
    strong, weak = (overlay(image, evidence, scale)[0, 0].astype(int) for scale in (1.0, 4.0))
    assert np.ptp(strong) > 2 * np.ptp(weak) > 0


def test_images_of_one_name_get_files_of_their_own(tmp_path: Path) -> None:
    planned = plan_files([Path("a/1.jpg"), Path("b/1.png"), Path("2.jpg"), Path("c/1.jpg")], tmp_path / "out")
    assert [files.overlay.name for files in planned] == ["1.png", "1-2.png", "2.png", "1-3.png"]
    assert not (tmp_path / "out").exists()


def test_earlier_explanations_are_replaced_and_other_files_never(tmp_path: Path) -> None:
    (files,) = plan_files([Path("1.jpg")], tmp_path)
    write_files(files, GREY, np.ones((4, 6), np.float32))
    assert np.load(files.map).tolist() == np.ones((4, 6)).tolist()
    with Image.open(files.overlay) as drawn:
        assert drawn.size == (30, 20)
    assert plan_files([Path("1.jpg")], tmp_path) == [files]
    Image.fromarray(GREY).save(tmp_path / "2.png")
    (tmp_path / "3.npy").touch()
    for name in ("2.jpg", "3.jpg"):
        with pytest.raises(UsageError, match="is no explanation; give another folder with `out`"):
            plan_files([Path("1.jpg"), Path(name)], tmp_path)


def test_a_line_says_the_label_and_where_the_evidence_lies() -> None:
    prediction = Prediction("a.jpg", "cats", 0.02, None, -4.0, None)
    explanation = Explanation(
        prediction, GREY[..., 0].astype(np.float32), 0.0, "exact", Region("cats", 0.617, 0.1, "top")
    )
    assert format_explanation(explanation, "dogs") == (
        "a.jpg: cats, probability of dogs 0.020; for cats: at the top, 62% of the evidence in 10% of the area"
    )
    record = explanation_record(explanation, {"overlay": "a.png"})
    assert record["region"] == {"for": "cats", "place": "top", "evidence": 0.617, "area": 0.1}
    assert record["overlay"] == "a.png"


def test_a_file_that_cannot_be_read_has_its_reason_in_the_line() -> None:
    error = ReadError("truncated", "The JPEG file ends before the image does: fetch it again.")
    explanation = Explanation(Prediction("a.jpg", None, None, None, None, "truncated", error))
    assert format_explanation(explanation, "dogs") == f"a.jpg: truncated. {error.sentence}"
    assert explanation_record(explanation, {})["region"] is None


def test_a_layer_has_the_shape_of_the_image_and_is_transparent_without_evidence() -> None:
    evidence = np.zeros((10, 15), np.float32)
    evidence[:, :5], evidence[:, 10:] = 1, -1
    layer = np.asarray(Image.open(io.BytesIO(layer_png(evidence, 30))).convert("RGBA")).astype(int)
    assert layer.shape == (20, 30, 4)
    assert (layer[:, 11:19, 3] == 0).all()
    assert (layer[:, :9, 0] > layer[:, :9, 2] + 50).all()
    assert (layer[:, 21:, 2] > layer[:, 21:, 0] + 50).all()
    assert (layer[:, :9, 3] > 200).all()


def test_no_evidence_and_scattered_evidence_have_words() -> None:
    assert format_region(Region("cats", 0.0, 0.1, "scattered")) == "nothing speaks for cats"
    assert "for cats: scattered over the image, 20%" in format_region(Region("cats", 0.2, 0.1, "scattered"))


def test_checks_are_a_line_each() -> None:
    checks = EvidenceChecks(16, "exact", 16, 15, 0.09, 0.22, (DeletionStep(0.125, 4.0, 0.66),))
    lines = checks_lines(checks)
    assert (
        lines[1] == "Pasted patches of the other class: the map changes most there in 15 of 16 images, by chance in 9%."
    )
    assert len(lines) == 4
