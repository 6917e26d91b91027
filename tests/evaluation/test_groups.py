from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import Rule
from twofold.evaluation import compare, evaluate
from twofold.evaluation.comparison import mcnemar, sign_flip_test
from twofold.evaluation.groups import design_effect, effect_of_correlation, group_correlation
from twofold.evaluation.intervals import Z

CLASSES = ("cats", "dogs")
Scores = NDArray[np.float64]


def draw(n: int, seed: int, copies: int = 1) -> tuple[NDArray[np.int8], Scores, NDArray[np.int64]]:
    """Labels, probabilities and groups: each image `copies` times."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-2 * (rng.standard_normal(n) + labels - 0.5)))
    return np.repeat(labels, copies), np.repeat(probabilities, copies), np.repeat(np.arange(n), copies)


def test_groups_of_one_image_change_no_digit() -> None:
    labels, probabilities, _ = draw(150, 0)
    groups = np.random.default_rng(1).permutation(150)
    plain = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES)
    grouped = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES, groups=groups)
    assert grouped.as_json() == plain.as_json()
    other = probabilities**2
    first, second = (probabilities, Rule.at(0.5)), (other, Rule.at(0.5))
    assert compare(labels, first, second, groups) == compare(labels, first, second)


def test_each_image_five_times_counts_once() -> None:
    """The intervals are those of the images alone, but for the t quantile of 299 degrees; 5% allow for the bootstrap."""
    labels, probabilities, groups = draw(300, 2, copies=5)
    alone = evaluate(*draw(300, 2)[:2], Rule.at(0.5), classes=CLASSES)
    grouped = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES, groups=groups)
    assert (grouped.group_count, len(grouped.labels)) == (300, 1500)
    for name, interval in alone.metrics.items():
        if name != "ece":
            width = grouped.metrics[name].high - grouped.metrics[name].low
            assert width == pytest.approx(interval.high - interval.low, rel=0.05), name
    for name, report in alone.per_class.items():
        assert grouped.per_class[name].precision.low == pytest.approx(report.precision.low, abs=0.003)


def test_two_models_are_compared_by_groups() -> None:
    labels, probabilities, groups = draw(200, 3, copies=4)
    other = np.repeat(draw(200, 4)[1], 4)
    alone = compare(labels[::4], (probabilities[::4], Rule.at(0.5)), (other[::4], Rule.at(0.5)))
    grouped = compare(labels, (probabilities, Rule.at(0.5)), (other, Rule.at(0.5)), groups)
    assert (grouped.groups, grouped.images) == (200, 800)
    assert grouped.p_value == pytest.approx(alone.p_value)
    for name, interval in alone.differences.items():
        assert grouped.differences[name].high == pytest.approx(interval.high, abs=0.003)


def test_the_design_effect_of_two_groups_by_hand() -> None:
    residuals, groups = np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1])
    assert design_effect(residuals, groups) == pytest.approx(8 / 4 * 2 / 1 * (12.706204736 / Z) ** 2)


def test_the_correlation_within_groups_by_hand() -> None:
    """Pairs (1, 1), (-1, -1), (1, -1), (-1, 1): the mean product is 0. With the last two alone it is -1, at least 0."""
    pairs, groups = np.array([1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0, 1.0]), np.repeat(np.arange(4), 2)
    assert group_correlation(pairs[:4], groups[:4]) == 1
    assert group_correlation(pairs[:6], groups[:6]) == pytest.approx(1 / 3)
    assert group_correlation(pairs, groups) == group_correlation(pairs[4:], groups[4:]) == 0
    assert group_correlation(pairs, np.arange(8)) == group_correlation(pairs, None) == 0


def test_the_factor_of_a_correlation_grows_with_the_groups() -> None:
    """Kish: 1 + (m - 1) rho for groups of m; of 1 and 3 images m is (1 + 9) / 4."""
    assert effect_of_correlation(0.5, np.repeat(np.arange(10), 5)) == pytest.approx(3)
    assert effect_of_correlation(0.5, np.array([0, 1, 1, 1])) == pytest.approx(1.75)
    assert effect_of_correlation(0.5, None) == effect_of_correlation(0.5, np.arange(4)) == 1


def test_residuals_that_cancel_within_groups_do_not_narrow_an_interval() -> None:
    assert design_effect(np.tile([1.0, -1.0], 50), np.repeat(np.arange(50), 2)) == 1


def test_groups_without_an_error_count_as_one_image_each() -> None:
    labels, probabilities = np.repeat(np.array([0, 1], np.int8), 100), np.repeat([0.1, 0.9], 100)
    alone = evaluate(labels[::10], probabilities[::10], Rule.at(0.5), classes=CLASSES)
    grouped = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES, groups=np.arange(200) // 10)
    assert grouped.metrics["accuracy"].low <= alone.metrics["accuracy"].low < 0.9


def test_the_sign_flip_test_counts_all_signs_of_the_groups() -> None:
    gains = np.array([1, 1, 1, -1, 1, 0, -1, 1, 1])
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 4, 2])
    sums = [2, 0, 2, 0, 0]
    flipped = [
        abs(sum(sign * size for sign, size in zip(signs, sums, strict=True))) for signs in product((-1, 1), repeat=5)
    ]
    assert sign_flip_test(gains, groups) == pytest.approx(np.mean([value >= 4 for value in flipped]))


def test_with_groups_of_one_image_it_is_mcnemars_test() -> None:
    gains = np.repeat([1, -1, 0], [3, 12, 20])
    assert sign_flip_test(gains, np.arange(35)) == pytest.approx(mcnemar(3, 12))


def test_many_groups_are_tested_by_the_normal_distribution() -> None:
    gains = np.repeat([1, -1], [2600, 2450])
    assert sign_flip_test(gains, np.arange(5050)) == pytest.approx(mcnemar(2600, 2450), abs=0.003)


def test_intervals_of_grouped_images_hold_the_truth() -> None:
    """Coverage over 100 test sets of about 40 groups of 1 to 10 images that share 60% of their noise; the standard error is
    0.022. Without groups it is 0.75 for accuracy."""
    rng, held, plain = np.random.default_rng(7), {"accuracy": 0, "log_loss": 0, "roc_auc": 0}, 0
    truth = evaluate(*grouped_scores(20_000, np.random.default_rng(8))[:2], Rule.at(0.5), classes=CLASSES).metrics
    for _ in range(100):
        labels, probabilities, groups = grouped_scores(40, rng)
        grouped = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES, groups=groups).metrics
        for name in held:
            held[name] += grouped[name].low <= truth[name].value <= grouped[name].high
        fixed = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES).metrics["accuracy"]
        plain += fixed.low <= truth["accuracy"].value <= fixed.high
    assert min(held.values()) > 0.88 * 100, held
    assert plain < 0.86 * 100


def grouped_scores(count: int, rng: np.random.Generator) -> tuple[NDArray[np.int8], Scores, NDArray[np.int64]]:
    groups = np.repeat(np.arange(count), rng.integers(1, 11, count))
    labels = (groups % 2).astype(np.int8)
    noise = np.sqrt(0.6) * rng.standard_normal(count)[groups] + np.sqrt(0.4) * rng.standard_normal(len(groups))
    return labels, 1 / (1 + np.exp(-2 * (noise + 2 * labels - 1))), groups
