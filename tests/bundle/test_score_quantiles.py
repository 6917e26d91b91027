"""Quantiles of scores: the same from the whole bundle and from its slim form, and what is illegal."""

from dataclasses import replace
from pathlib import Path

import pytest

from twofold.bundle.score_quantiles import score_quantiles
from twofold.bundle.slim import write_slim_bundle
from twofold.bundle.storage import Bundle, load_bundle
from twofold.core.errors import BundleError
from twofold.workflows.monitors import monitors_of


@pytest.fixture(scope="module")
def slim(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("slim") / "slim.twofold"
    write_slim_bundle(load_bundle(bundle), path, force=False)
    return load_bundle(path)


def test_the_slim_form_has_those_of_the_scores(slim: Bundle, bundle: Path) -> None:
    whole = score_quantiles(load_bundle(bundle))
    assert score_quantiles(slim).as_json() == whole.as_json()
    assert whole.prevalence == 0.5
    assert whole.logit is not None
    groups = len(set(load_bundle(bundle).scores().groups.tolist()))
    assert whole.logit.gaps.sum() == groups + 1  # of n values there are n + 1 gaps


def test_the_slim_form_of_a_slim_form_has_them_still(slim: Bundle, tmp_path: Path) -> None:
    write_slim_bundle(slim, tmp_path / "again.twofold", force=False)
    assert score_quantiles(load_bundle(tmp_path / "again.twofold")).as_json() == score_quantiles(slim).as_json()


@pytest.mark.parametrize(
    "change",
    [
        {"prevalence": 1.0},
        {"prevalence": "half"},
        {"logit": {"edges": [1.0, 1.0], "gaps": [1, 1, 1]}},
        {"familiarity": []},
    ],
)
def test_illegal_ones_are_refused(slim: Bundle, change: dict[str, object]) -> None:
    stored = {**slim.record["score_quantiles"], **change}
    with pytest.raises(BundleError, match=r"The quantiles in .*bundle\.json cannot be used"):
        score_quantiles(replace(slim, record={**slim.record, "score_quantiles": stored}))
    for stored in ([], 5):
        with pytest.raises(BundleError, match="cannot be used"):
            score_quantiles(replace(slim, record={**slim.record, "score_quantiles": stored}))


def test_a_bundle_of_too_few_images_cannot_be_watched(slim: Bundle) -> None:
    few = {"score_quantiles": {"familiarity": None, "logit": None, "prevalence": 0.5}, "traits": {}}
    bundle = replace(slim, record={**slim.record, **few})
    with pytest.raises(BundleError, match="fewer than 20 groups of images"):
        monitors_of(bundle, score_quantiles(bundle))
