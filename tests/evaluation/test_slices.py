"""Slices, and the worst of them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from twofold.decision import Rule
from twofold.evaluation import evaluate, with_positive
from twofold.evaluation.intervals import Interval, clopper_pearson, difference
from twofold.evaluation.sample import Sample
from twofold.evaluation.slices import Slices, find_slices


def sample(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None = None) -> Sample:
    """Images of both classes, decided so."""
    labels = (np.arange(len(correct)) % 2).astype(np.int8)
    decisions = np.where(correct, labels, 1 - labels).astype(np.int8)
    return Sample(labels, decisions, decisions * 0.8 + 0.1, decisions * 0.8 + 0.1, groups)


def slices_of(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None = None, **columns: object) -> Slices:
    found = find_slices(sample(correct, groups), {name: np.asarray(column) for name, column in columns.items()})
    assert found is not None
    return found


def test_the_exact_interval_is_that_of_scipy() -> None:
    for right, trials, level in ((9, 10, 0.95), (0, 30, 0.99), (30, 30, 0.997), (250, 300, 0.95)):
        expected = binomtest(right, trials).proportion_ci(level, method="exact")
        interval = clopper_pearson(right, trials, level=level)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_half_of_the_trials_by_a_factor_of_two() -> None:
    interval = clopper_pearson(80, 100, factor=2)
    assert (interval.low, interval.high) == pytest.approx(binomtest(40, 50).proportion_ci(0.95)[:], abs=1e-12)
    assert clopper_pearson(30, 30, factor=np.inf) == Interval(1, 0, 1)


def test_a_difference_is_newcombes() -> None:
    """Newcombe 1998, table II (a): 56/70 - 48/80 with Wilson's intervals has [0.0524, 0.3339]."""
    first, second = Interval(0.8, 0.6918, 0.8773), Interval(0.6, 0.4904, 0.7005)
    assert difference(first, second).low == pytest.approx(0.0524, abs=3e-4)
    assert difference(first, second).high == pytest.approx(0.3339, abs=3e-4)


def test_numbers_are_cut_into_thirds() -> None:
    brightness = np.random.default_rng(0).permutation(np.arange(300.0))
    found = slices_of(np.ones(300, np.bool_), brightness=brightness)
    assert [(each.low, each.high, each.images) for each in found.slices] == [
        (0, 99, 100),
        (100, 199, 100),
        (200, 299, 100),
    ]
    assert found.worst is None


def test_a_cut_never_divides_equal_values() -> None:
    found = slices_of(np.ones(100, np.bool_), pixels=np.repeat([50.0, 99.0], [40, 60]))
    assert [(each.low, each.high, each.images) for each in found.slices] == [(50, 50, 40), (99, 99, 60)]


def test_slices_of_too_few_images_or_groups_are_merged() -> None:
    found = slices_of(np.ones(130, np.bool_), size=np.repeat([1.0, 2.0, 3.0], [60, 10, 60]))
    assert sorted(each.images for each in found.slices) == [60, 70]
    groups = np.repeat(np.arange(65), 2)
    found = slices_of(np.ones(130, np.bool_), groups, size=np.repeat([1.0, 2.0, 3.0], [50, 30, 50]))
    assert sorted((each.images, each.groups) for each in found.slices) == [(50, 25), (80, 40)]


def test_nothing_is_said_where_nothing_tells_images_apart() -> None:
    columns = {"brightness": np.ones(100), "camera": np.full(100, ""), "size": np.repeat([1.0, 2.0], [95, 5])}
    assert find_slices(sample(np.ones(100, np.bool_)), columns) is None
    assert find_slices(sample(np.ones(30, np.bool_)), {"brightness": np.arange(30.0)}) is None
    assert find_slices(sample(np.ones(100, np.bool_)), {"quality": np.full(100, np.nan)}) is None


def test_texts_are_cut_by_value_and_rare_ones_are_one_slice() -> None:
    camera = np.array(["A"] * 60 + ["B"] * 40 + [""] * 30 + [f"rare {number}" for number in range(25)])
    found = slices_of(np.ones(155, np.bool_), camera=camera)
    assert [(each.value, each.images) for each in found.slices] == [
        ("A", 60),
        ("B", 40),
        ("unknown", 30),
        ("other", 25),
    ]


def test_the_worst_slice_by_hand() -> None:
    """60 of 100 dark images are right, 198 of 200 others. Two features of three slices: each interval has level 1 - 0.05 / 6."""
    brightness = np.arange(300.0)
    correct = np.concatenate([np.arange(100) < 60, np.arange(200) < 198])
    found = slices_of(correct, brightness=brightness, other=np.random.default_rng(1).permutation(brightness))
    assert len(found.slices) == 6
    worst = found.worst
    assert worst is not None
    assert (worst.feature, worst.low, worst.high) == ("brightness", 0, 99)
    exact = binomtest(60, 100).proportion_ci(1 - 0.05 / 6)
    assert (worst.accuracy.low, worst.accuracy.high) == pytest.approx((exact.low, exact.high))
    rest = binomtest(198, 200).proportion_ci(1 - 0.05 / 6)
    assert worst.difference.value == pytest.approx(0.6 - 0.99)
    assert worst.difference.high == pytest.approx(-0.39 + np.hypot(exact.high - 0.6, 0.99 - rest.low))
    assert found.as_json()["worst"]["images"] == 100


def test_the_order_of_the_images_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    correct, brightness, groups = rng.random(300) < 0.9, rng.random(300), rng.integers(0, 150, 300)
    order = rng.permutation(300)
    base = sample(correct, groups)
    swapped = Sample(
        base.labels[order], base.decisions[order], base.probabilities[order], base.ranks[order], groups[order]
    )
    first = find_slices(base, {"brightness": brightness})
    second = find_slices(swapped, {"brightness": brightness[order]})
    assert first is not None
    assert second is not None
    for one, other in zip(first.slices, second.slices, strict=True):
        assert one.accuracy.low == pytest.approx(other.accuracy.low)
        assert one.difference.high == pytest.approx(other.difference.high)


def test_swapped_classes_have_the_same_slices() -> None:
    rng = np.random.default_rng(4)
    labels, probabilities = rng.integers(0, 2, 200).astype(np.int8), rng.random(200)
    columns = {"brightness": rng.random(200)}
    first = evaluate(labels, probabilities, Rule.at(0.4), classes=("cats", "dogs"))
    second = with_positive("cats", first)
    assert find_slices(first.sample, columns) == find_slices(second.sample, columns)


def test_images_of_one_group_count_together() -> None:
    rng = np.random.default_rng(5)
    correct, brightness = rng.random(100) < 0.8, rng.random(100)
    alone = slices_of(correct, brightness=brightness)
    grouped = slices_of(np.repeat(correct, 5), np.repeat(np.arange(100), 5), brightness=np.repeat(brightness, 5))
    for one, five in zip(alone.slices, grouped.slices, strict=True):
        assert (five.images, five.groups) == (5 * one.images, one.images)
        width = five.accuracy.high - five.accuracy.low
        assert 1 < width / (one.accuracy.high - one.accuracy.low) < 1.15  # few groups: the t quantile


@pytest.mark.parametrize("grouped", [False, True])
def test_all_intervals_hold_together_and_chance_makes_no_slice_the_worst(grouped: bool) -> None:
    """200 sets of accuracy 0.95, six features: all 18 intervals hold 0.95 in at least 95%, and a slice is called worse in at most
    5%, each less three standard errors (0.015). Answers of a group have a correlation of 1/3."""
    rng, all_held, called = np.random.default_rng(6), 0, 0
    for _ in range(200):
        groups = np.repeat(np.arange(100), rng.integers(1, 11, 100)) if grouped else np.arange(450)
        of_group = rng.beta(1.9, 0.1, 100)[groups] if grouped else np.full(450, 0.95)
        correct = rng.random(len(groups)) < of_group
        columns = {f"feature {k}": rng.random(len(groups)) for k in range(3)}
        columns |= {f"of groups {k}": rng.random(len(groups))[groups] for k in range(3)}
        found = find_slices(sample(correct, groups if grouped else None), columns)
        assert found is not None
        all_held += all(each.accuracy.low <= 0.95 <= each.accuracy.high for each in found.slices)
        called += found.worst is not None
    assert all_held >= (0.95 - 0.045) * 200
    assert called <= (0.05 + 0.045) * 200
