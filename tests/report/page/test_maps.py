"""Evidence maps in a report: of the first images of the gallery, where they are at hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from twofold.bundle import load_bundle
from twofold.decision import Head
from twofold.embedding import Runtime
from twofold.networks import Backbone
from twofold.report.page import report_page
from twofold.report.page.maps import MOST_MAPS, with_map_checks, with_maps
from twofold.workflows.evidence_checks import DeletionStep, EvidenceChecks
from twofold.workflows.explain import Explainer
from twofold.workflows.report import ReportData, report_of_training, role_of
from twofold.workflows.training_result import TrainingResult


@pytest.fixture(scope="module")
def explainer(bundle: Path, runtime: Runtime) -> Explainer:
    return Explainer(load_bundle(bundle), runtime)


@pytest.fixture(scope="module")
def wrong(bundle: Path, training: TrainingResult) -> ReportData:
    """A report in which every answer is wrong, so that the gallery has images."""
    report = report_of_training(load_bundle(bundle), training, thumbnails=True)
    scored = [replace(entry, sample=replace(entry.sample, labels=1 - entry.sample.labels)) for entry in report.scored]
    return replace(report, scored=tuple(scored))


def test_the_errors_of_each_part_have_maps_over_their_images(wrong: ReportData, explainer: Explainer) -> None:
    data = with_maps(wrong, explainer)
    assert {role for role, _ in data.maps} == {"train", "test"}
    assert 16 <= len(data.maps) <= MOST_MAPS
    assert all(png.startswith(b"\x89PNG") for png in data.maps.values())
    page = report_page(data)
    assert page.count("url(data:image/png;base64,") == len(data.maps)
    assert "orange places speak for rings, blue places for bars" in page


def test_both_kinds_of_errors_have_maps(wrong: ReportData, explainer: Explainer) -> None:
    maps = with_maps(wrong, explainer).maps
    for scored in wrong.scored:
        for label in (0, 1):
            first = scored.cell(label, 1 - label)[:3]
            assert {(role_of(scored.name), scored.paths[row]) for row in first.tolist()} <= set(maps)


def test_the_checks_of_the_maps_are_on_the_page(wrong: ReportData) -> None:
    checks = EvidenceChecks(16, "exact", 16, 15, 0.09, 0.2, (DeletionStep(0.125, 4.0, 0.66),))
    assert "the map changes most there in 15 of 16 images" in report_page(replace(wrong, map_checks=checks))
    assert "Checks of the evidence maps" not in report_page(wrong)


def test_without_images_at_hand_or_with_occlusion_there_are_no_maps(
    wrong: ReportData, explainer: Explainer, maximum: Backbone, runtime: Runtime
) -> None:
    assert with_maps(replace(wrong, sources={}), explainer).maps == {}
    assert with_map_checks(replace(wrong, sources={}), explainer).map_checks is None
    head = Head(explainer.model.head.weights[:6], 0.0)
    occluding = Explainer(replace(explainer.model, backbone=maximum, head=head, probe_logits=None), runtime)
    assert with_maps(wrong, occluding).maps == {}
