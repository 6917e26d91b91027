"""Label issues, by simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.label_issues import LabelIssues, find_label_issues
from twofold.audit.label_noise import fit_noise_models
from twofold.evaluation import Interval

Simulation = tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.bool_]]


def draw(
    n: int = 1000, *, distance: float = 2.3, noise: float = 0.03, fraction: float = 0.5, seed: int = 0
) -> Simulation:
    """Logits, labels and which of the labels are wrong."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) < fraction * n).astype(np.int8)
    flipped = rng.random(n) < noise
    return (
        (2 * truth - 1) * distance + rng.standard_normal(n),
        np.where(flipped, 1 - truth, truth).astype(np.int8),
        flipped,
    )


def test_wrong_labels_lead_the_list() -> None:
    logits, labels, wrong = draw()
    listed = find_label_issues(logits, labels).rows
    assert wrong[listed[:20]].all()
    assert wrong[listed].sum() >= 0.95 * wrong.sum()
    assert len(listed) < 2 * wrong.sum()


def test_p_label_error_is_a_calibrated_probability() -> None:
    simulations = [draw(seed=seed) for seed in range(5)]
    p_label_error = np.concatenate(
        [find_label_issues(logits, labels).p_label_error for logits, labels, _ in simulations]
    )
    wrong = np.concatenate([flipped for _, _, flipped in simulations])
    assert p_label_error.min() >= 0
    assert p_label_error.max() <= 1
    middle = (p_label_error > 0.2) & (p_label_error < 0.8)
    assert wrong[middle].mean() == pytest.approx(p_label_error[middle].mean(), abs=0.2)
    assert wrong[p_label_error >= 0.5].mean() > 0.8
    assert p_label_error.sum() == pytest.approx(wrong.sum(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "noise", "fraction"), [(2.3, 0.02, 0.5), (2.3, 0.05, 0.1), (1.3, 0.1, 0.5)])
def test_the_interval_of_the_count_covers_the_truth(distance: float, noise: float, fraction: float) -> None:
    covered = 0
    for seed in range(15):
        logits, labels, flipped = draw(distance=distance, noise=noise, fraction=fraction, seed=seed)
        expected = find_label_issues(logits, labels).expected
        covered += expected.low <= flipped.sum() <= expected.high
    assert covered >= 12  # by simulation the coverage is 92 to 100%


@pytest.mark.parametrize("rate", [0.0, 0.02])
@pytest.mark.parametrize("kind", ["heavy tails", "a part without information", "defects of all sizes"])
def test_the_interval_covers_the_truth_where_images_are_hard(kind: str, rate: float) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        side = np.repeat([-1.0, 1.0], 400)
        logits = {
            "heavy tails": 2 * side + rng.standard_t(5, 800),
            "a part without information": 3 * side * (rng.random(800) > 0.15) + 1.5 * rng.standard_normal(800),
            "defects of all sizes": (side > 0) * rng.uniform(0, 6, 800) - 2 + rng.standard_normal(800),
        }[kind]
        flipped = np.zeros(800, np.bool_)
        flipped[rng.choice(800, round(800 * rate), replace=False)] = True
        issues = find_label_issues(logits, ((side > 0) ^ flipped).astype(np.int8))
        assert issues.expected.low <= flipped.sum() <= issues.expected.high
        assert issues.hard or rate > 0


def test_wrong_labels_of_clear_images_are_certain() -> None:
    issues = find_label_issues(*draw(2000, distance=3.0, noise=0.02)[:2])
    assert not issues.hard
    assert issues.expected.low > 10


def test_hard_images_keep_the_rank_and_halve_the_probability() -> None:
    logits, labels, _ = draw(noise=0.0, distance=1.5)
    issues = find_label_issues(logits, labels)
    z = (logits - logits.mean()) / logits.std()
    p_wrong = sum(model.weight * model.p_wrong(z, labels) for model in fit_noise_models(z, labels))
    assert issues.p_hard > 0.9
    np.testing.assert_allclose(issues.p_label_error, p_wrong * (1 - issues.p_hard / 2))


def test_right_labels_are_not_doubted() -> None:
    for seed, distance in enumerate((1.3, 1.8, 2.3, 3.0)):
        issues = find_label_issues(*draw(distance=distance, noise=0.0, seed=seed)[:2])
        assert issues.expected.low == 0
        assert issues.expected.value <= 10
        assert (issues.p_label_error < 0.5).all()


def test_wrong_labels_of_one_class_are_listed_there() -> None:
    logits, labels, _ = draw(noise=0.0)
    labels[:40] = 0  # true positives
    issues = find_label_issues(logits, labels)
    assert issues.expected.low <= 40 <= issues.expected.high
    assert (labels[issues.rows] == 0).mean() > 0.9


@pytest.mark.parametrize("logits", [np.zeros(400), np.random.default_rng(0).standard_normal(400)])
def test_uninformative_scores_list_nothing_and_give_a_wide_interval(logits: NDArray[np.float64]) -> None:
    issues = find_label_issues(logits, (np.arange(400) < 160).astype(np.int8))
    assert len(issues.rows) == 0
    assert issues.expected.low == 0
    assert issues.expected.high > 40


def test_separated_classes_have_no_label_issues() -> None:
    labels = (np.arange(50) < 25).astype(np.int8)
    issues = find_label_issues(np.where(labels == 1, 9.0, -9.0), labels)
    assert len(issues.rows) == 0
    assert (issues.expected.value, issues.expected.high) == (0, 0)


def test_order_scale_and_swapped_classes_change_nothing() -> None:
    logits, labels, _ = draw(400)
    issues = find_label_issues(logits, labels)
    order = np.random.default_rng(1).permutation(400)
    np.testing.assert_allclose(
        find_label_issues(logits[order], labels[order]).p_label_error, issues.p_label_error[order], atol=1e-6
    )
    np.testing.assert_allclose(find_label_issues(5 * logits - 3, labels).p_label_error, issues.p_label_error, atol=1e-6)
    np.testing.assert_allclose(find_label_issues(-logits, 1 - labels).p_label_error, issues.p_label_error, atol=0.02)


def test_the_text_is_consistent_where_more_labels_are_listed_than_expected_to_be_wrong() -> None:
    issues = LabelIssues(np.array([0.2] * 30 + [0.0] * 970), Interval(6.0, 2.0, 11.0))
    assert issues.text == (
        "30 possible label errors (p >= 0.05); expected number of wrong labels: 6 [2, 11]; at least 19 of those listed are "
        "probably correct"
    )
    assert LabelIssues(issues.p_label_error, Interval(6.0, 2.0, 40.0)).text.endswith("labels: 6 [2, 40]")
    assert LabelIssues(issues.p_label_error, Interval(3.0, 0.0, 11.0), p_hard=1.0).text == (
        "30 labels worth a look (p >= 0.05), wrong labels or hard images; number of wrong labels: 0 to 11; at least 19 of those "
        "listed are probably correct"
    )
