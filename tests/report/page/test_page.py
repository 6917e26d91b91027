"""The page: its numbers, its safety against names, its size."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from pages import parse, report_data

from twofold.data import NO_RANGES
from twofold.decision import Rule
from twofold.decision.bounds import allowed_failures, simultaneous_confidence
from twofold.report.page import PageImages, read_images, report_page, with_images
from twofold.report.page.page import page_json
from twofold.report.page.scores_block import rate_bounds, scores_block
from twofold.workflows.evidence_checks import DeletionStep, EvidenceChecks
from twofold.workflows.thumbnails import Sheet, Thumbnails, make_thumbnails

HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>')


def test_every_metric_of_the_page_is_that_of_evaluation_json() -> None:
    data = report_data()
    cells = parse(report_page(data)).cells
    metrics = data.columns[0].block["metrics"]
    for value in metrics.values():
        assert f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]" in cells
    c = data.columns[0].block["confusion"]
    assert [f"{c[name]}" in " ".join(cells) for name in ("tn", "fp", "fn", "tp")] == [True] * 4


def test_the_answer_names_its_evidence() -> None:
    data = report_data()
    page, accuracy = report_page(data), data.columns[0].block["metrics"]["accuracy"]
    assert f"right in {accuracy['value']:.2%} of 400 training images, 95% interval {accuracy['low']:.2%} to" in page
    assert f"[{accuracy['low']:.4f}, {accuracy['high']:.4f}]" in page
    assert "fitted without it" in page


def test_a_page_has_no_address_but_those_inside_of_it() -> None:
    page = report_page(report_data())
    assert all(address.startswith(("#", "data:")) for address in parse(page).addresses)
    assert not re.search(r"https?://|@import|fetch\(|XMLHttpRequest|eval\(|new Function", page)
    assert "default-src 'none'" in page


def test_names_stay_text() -> None:
    data = report_data(classes=HOSTILE, name=HOSTILE[1])
    elements, plain = parse(report_page(data)).elements, parse(report_page(report_data())).elements
    assert elements.count("script") == plain.count("script")
    assert elements.count("img") == 0


def test_json_in_a_script_cannot_end_it() -> None:
    text = str(page_json({"a": "</script>", "b": "<!--", "c": "&"}))
    assert "<" not in text
    assert json.loads(text) == {"a": "</script>", "b": "<!--", "c": "&"}


def test_a_name_that_is_no_unicode_is_written(tmp_path: object) -> None:
    data = report_data(20)
    scored = replace(data.scored[0], paths=("caf\udce9.jpg", *data.scored[0].paths[1:]))
    report_page(replace(data, scored=(scored,))).encode("utf-8")


def test_options_in_notes_become_those_of_the_face() -> None:
    page = report_page(report_data(), lambda text: text.replace("`positive`", "--positive"))
    assert "Choose with --positive." in page


def test_warnings_stand_before_notes() -> None:
    page = report_page(report_data())
    assert page.index("Choose with") < page.index("A note.") < page.index('id="matrix"')


def test_sections_without_content_are_left_out() -> None:
    data = report_data()
    bare = replace(data, scored=(), thresholds=None, pairs=(), files=(), result={})
    page = report_page(bare)
    for section in ("explorer", "curves", "gallery", "shortcuts", "size", "files"):
        assert f'<section id="{section}"' in report_page(data) or section == "size"
        assert f'<section id="{section}"' not in page
    assert "<button" not in page.partition("<script")[0]  # no cell opens images that are not at hand


def test_the_page_of_20_000_scores_has_400_kb_at_most() -> None:
    assert len(report_page(report_data(20_000)).encode()) <= 400_000


def test_the_page_of_2_000_images_with_thumbnails_has_3_mb_at_most() -> None:
    data, random = report_data(2_000), np.random.default_rng(0)
    noise = random.integers(0, 255, (400, 128, 128, 3)).astype(np.uint8)  # larger than photographs
    keys = [("train", path) for path in data.scored[0].paths[:400]]
    thumbnails = make_thumbnails(dict(zip(keys, noise, strict=True)), NO_RANGES, 10**6)
    page = report_page(replace(data, thumbnails=thumbnails))
    assert 1_000_000 < len(page.encode()) <= 3_000_000


def test_thumbnails_are_read_back_from_a_page() -> None:
    data = report_data(40)
    images = {("train", path): np.full((20, 30, 3), 90, np.uint8) for path in data.scored[0].paths}
    thumbnails = make_thumbnails(images, NO_RANGES, 10**6)
    read = read_images(report_page(replace(data, thumbnails=thumbnails))).thumbnails
    assert read.places == thumbnails.places
    assert read.sheets == thumbnails.sheets


def test_an_evidence_map_lies_over_its_image_for_mouse_and_keyboard() -> None:
    data = report_data(40)
    key = ("train", data.scored[0].paths[int(data.scored[0].errors[0])])
    page = report_page(replace(data, maps={key: b"\x89PNG"}))
    assert page.count('<figure class="card" tabindex="0">') == page.count('data-map="0"></span>') > 0
    assert '<figure class="card" tabindex="0">' not in report_page(data)


def test_the_checks_of_the_maps_are_read_back_from_a_page() -> None:
    checks = EvidenceChecks(16, "exact", 16, 15, 0.09, 0.2, (DeletionStep(0.125, 4.0, 0.66),))
    page = report_page(replace(report_data(40), map_checks=checks))
    assert read_images(page).map_checks == checks
    assert read_images(page.replace('"chance": 0.09', '"chance": NaN')).map_checks is None
    assert read_images(page.replace('"patches"', '"p"')).map_checks is None
    assert read_images(report_page(report_data(40))).map_checks is None


def test_a_page_that_is_written_again_keeps_the_images_that_it_showed_more_of() -> None:
    keys = [("train", "a.png"), ("test", "a.png"), ("test", "b.png")]
    sheets = tuple(Sheet(b"\xff\xd8\xff" + bytes([number]), 1) for number in range(2))
    old = Thumbnails(sheets, {keys[0]: (0, 0), keys[1]: (1, 0), keys[2]: (1, 1)})
    images = PageImages(old, dict.fromkeys(keys, b"\x89PNG old"))
    new = Thumbnails((Sheet(b"one", 1), Sheet(b"two", 1)), {keys[0]: (0, 3), keys[1]: (1, 0)})
    data = replace(report_data(40), thumbnails=new, maps=dict.fromkeys(keys[:2], b"\x89PNG new"))
    data = with_images(data, images)
    assert [sheet.jpeg for sheet in data.thumbnails.sheets] == [b"one", sheets[1].jpeg]
    assert data.thumbnails.places == {keys[0]: (0, 3), keys[1]: (1, 0), keys[2]: (1, 1)}
    assert data.maps == {keys[0]: b"\x89PNG new", keys[1]: b"\x89PNG old", keys[2]: b"\x89PNG old"}


def test_maps_are_read_back_from_a_page() -> None:
    data = report_data(40)
    sample = data.scored[0].sample
    wrong = replace(data.scored[0], sample=replace(sample, labels=1 - sample.labels))  # then every answer is an error
    data = replace(data, scored=(wrong,))
    keys = [("train", wrong.paths[int(row)]) for row in wrong.errors[:3]]
    maps = {key: b"\x89PNG" + bytes([number]) for number, key in enumerate(keys)}
    page = report_page(replace(data, maps=maps))
    assert read_images(page).maps == maps
    assert read_images(page.replace('id="maps">[', 'id="maps">[[')).maps == {}
    assert read_images(report_page(data)).maps == {}


def test_a_trained_network_has_the_curves_of_its_epochs() -> None:
    data = report_data(40)
    row = {"train_loss": 0.5, "val_loss": 0.6, "train_accuracy": 0.7, "val_accuracy": 0.8}
    learning = {"history": [{"epoch": epoch, **row} for epoch in (1, 2, 3)], "best_epoch": 2}
    page = report_page(replace(data, result={**data.result, "learning": learning}))
    assert "Loss by epoch" in page
    assert "the best epoch, 2 of 3" in page


def test_the_learning_curve_says_what_twice_as_many_images_would_bring() -> None:
    data = report_data(40)
    points = [
        {"images": images, "log_loss": 0.3, "error": error} for images, error in ((8, 0.2), (16, 0.1), (32, 0.05))
    ]
    forecast = {"value": 0.03, "low": 0.02, "high": 0.04}
    audit = {"learning_curve": {"curve": points, "error": forecast, "log_loss": forecast}}
    page = report_page(replace(data, result={"audit": audit}))
    assert "from 0.0500 to about 0.0300 [0.0200, 0.0400]" in page


@pytest.mark.parametrize("page", ["", "<html>", '<script type="application/json" id="thumbnails">[[1]]</script>'])
def test_a_page_that_was_altered_gives_no_thumbnails(page: str) -> None:
    assert not read_images(page).thumbnails.places


def test_the_band_promises_what_simultaneous_promises_do() -> None:
    trials = 500
    level, bounds = simultaneous_confidence(trials, 0.975), rate_bounds(trials)
    for rate in (0.01, 0.02, 0.05, 0.1):
        assert int(np.sum(bounds <= rate)) - 1 == allowed_failures(trials, rate, level)
    assert (np.diff(bounds) > 0).all()
    assert bounds[-1] <= 0.2


def test_scores_in_half_the_bytes_stay_on_their_side_of_the_rule() -> None:
    data = report_data(2_000)
    assert data.thresholds is not None
    thresholds = np.sort(data.thresholds.probabilities)[[200, 1700]]
    rule = Rule(float(thresholds[0]), float(thresholds[1]))
    scores = replace(data.thresholds, summary=replace(data.thresholds.summary, rule=rule))
    block = scores_block(scores)
    packed = np.frombuffer(base64.b64decode(block.data)[: 4 * 2_000], "<f4").astype(np.float64)
    for end in thresholds:
        assert int(np.sum(packed < end)) == int(np.sum(scores.probabilities < end))


def test_groups_count_once_in_the_band() -> None:
    data = report_data(300, grouped=True)
    assert data.thresholds is not None
    header = scores_block(data.thresholds).header
    assert header["images"] == [150, 150]
    assert header["units"] == [100, 100]
