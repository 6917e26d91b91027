import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.label_issues import find_label_issues

Drawn = tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.bool_]]


def draw(n: int = 1000, *, apart: float = 2.3, wrong: float = 0.03, fraction: float = 0.5, seed: int = 0) -> Drawn:
    """Logits, labels and which of the labels are wrong."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) < fraction * n).astype(np.int8)
    flipped = rng.random(n) < wrong
    return (
        (2 * truth - 1) * apart + rng.standard_normal(n),
        np.where(flipped, 1 - truth, truth).astype(np.int8),
        flipped,
    )


def test_wrong_labels_lead_the_list() -> None:
    logits, labels, wrong = draw()
    listed = find_label_issues(logits, labels).listed
    assert wrong[listed[:20]].all()
    assert wrong[listed].sum() >= 0.95 * wrong.sum()
    assert len(listed) < 2 * wrong.sum()


def test_suspicion_is_a_chance() -> None:
    drawn = [draw(seed=seed) for seed in range(5)]
    p_label_error = np.concatenate([find_label_issues(logits, labels).p_label_error for logits, labels, _ in drawn])
    wrong = np.concatenate([flipped for _, _, flipped in drawn])
    assert p_label_error.min() >= 0
    assert p_label_error.max() <= 1
    middle = (p_label_error > 0.2) & (p_label_error < 0.8)
    assert wrong[middle].mean() == pytest.approx(p_label_error[middle].mean(), abs=0.2)
    assert wrong[p_label_error >= 0.5].mean() > 0.8
    assert p_label_error.sum() == pytest.approx(wrong.sum(), rel=0.1)


@pytest.mark.parametrize(("apart", "wrong", "fraction"), [(2.3, 0.02, 0.5), (2.3, 0.05, 0.1), (1.3, 0.1, 0.5)])
def test_the_interval_of_the_count_mostly_holds_the_truth(apart: float, wrong: float, fraction: float) -> None:
    held = 0
    for seed in range(15):
        logits, labels, flipped = draw(apart=apart, wrong=wrong, fraction=fraction, seed=seed)
        expected = find_label_issues(logits, labels).expected
        held += expected.low <= flipped.sum() <= expected.high
    assert held >= 11  # by simulation it is 90 to 100%, and 80 to 88% where one label in ten is wrong


def test_right_labels_are_left_alone() -> None:
    for seed, apart in enumerate((1.3, 1.8, 2.3, 3.0)):
        found = find_label_issues(*draw(apart=apart, wrong=0.0, seed=seed)[:2])
        assert found.expected.low == 0
        assert found.expected.value <= 10
        assert (found.p_label_error < 0.5).all()


def test_wrong_labels_of_one_class_are_looked_for_there() -> None:
    logits, labels, _ = draw(wrong=0.0)
    labels[:40] = 0  # true positives
    found = find_label_issues(logits, labels)
    assert found.expected.low <= 40 <= found.expected.high
    assert (labels[found.listed] == 0).mean() > 0.9


@pytest.mark.parametrize("logits", [np.zeros(400), np.random.default_rng(0).standard_normal(400)])
def test_where_nothing_can_be_told_no_one_is_listed_and_the_interval_is_wide(logits: NDArray[np.float64]) -> None:
    found = find_label_issues(logits, (np.arange(400) < 160).astype(np.int8))
    assert len(found.listed) == 0
    assert found.expected.low == 0
    assert found.expected.high > 40


def test_classes_that_are_far_apart_have_no_suspects() -> None:
    labels = (np.arange(50) < 25).astype(np.int8)
    found = find_label_issues(np.where(labels == 1, 9.0, -9.0), labels)
    assert len(found.listed) == 0
    assert (found.expected.value, found.expected.high) == (0, 0)


def test_order_scale_and_the_names_of_the_classes_change_nothing() -> None:
    logits, labels, _ = draw(400)
    found = find_label_issues(logits, labels)
    order = np.random.default_rng(1).permutation(400)
    np.testing.assert_allclose(
        find_label_issues(logits[order], labels[order]).p_label_error, found.p_label_error[order], atol=1e-6
    )
    np.testing.assert_allclose(find_label_issues(5 * logits - 3, labels).p_label_error, found.p_label_error, atol=1e-6)
    np.testing.assert_allclose(find_label_issues(-logits, 1 - labels).p_label_error, found.p_label_error, atol=0.02)
