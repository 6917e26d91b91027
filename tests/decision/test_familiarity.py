"""Familiarity is a p-value: exchangeable images pass the gate as often as it says, other kinds do not, groups count once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import Familiarity, FamiliarityFit, fit_familiarity
from twofold.decision.familiarity import CONFIDENCE, FALSE_ALARMS, MAX_KNOTS, NEAR, unit_vectors

WIDTH = 48
ALL = ((0, WIDTH),)


def images(count: int, seed: int, *, kind: int = 0) -> NDArray[np.float32]:
    """Features of images of a kind: of a few latent causes, positive as after a ReLU, with noise."""
    shape = np.random.default_rng(kind)
    centre, causes = shape.uniform(0.5, 1.5, WIDTH), shape.normal(size=(4, WIDTH))
    random = np.random.default_rng([seed, kind])
    rows = centre + 0.3 * random.normal(size=(count, 4)) @ causes + 0.05 * random.normal(size=(count, WIDTH))
    return np.abs(rows).astype(np.float32)


def fit(features: NDArray[np.float32], groups: NDArray[np.int64] | None = None, folds: int = 5) -> FamiliarityFit:
    names = np.arange(len(features)) if groups is None else groups
    return fit_familiarity(features, names % folds, names, ALL)


def unfamiliar(fitted: FamiliarityFit, features: NDArray[np.float32]) -> float:
    return float(np.mean(fitted.familiarity.of(features) < fitted.gate.level))


def test_a_value_by_hand() -> None:
    """The vector (0.6, 0.8) has the offset (-0.4, 0.8) from (1, 0). The axis leaves the second number, 0.8: the rest is
    0.64 / sqrt(0.8 + 0.01) = 0.7111, nine tenths of the way between two knots."""
    axis, mean = np.array([[1.0, 0.0]], np.float16), np.array([1.0, 0.0], np.float32)
    rest = 0.64 / np.sqrt(0.80 + NEAR)
    knots, levels = np.array([0.0, rest / 0.9], np.float32), np.array([1.0, 0.1], np.float32)
    familiarity = Familiarity(((1, 3),), mean, axis, knots, levels)
    assert familiarity.of(np.array([[9.0, 3.0, 4.0]], np.float32))[0] == pytest.approx(0.19, abs=1e-6)


def test_each_part_has_the_same_weight_whatever_its_scale() -> None:
    features = np.array([[3.0, 4.0, 500.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    vectors = unit_vectors(features, ((0, 2), (2, 4)))
    assert np.allclose(vectors, [[0.6 / 2**0.5, 0.8 / 2**0.5, 1 / 2**0.5, 0], [0, 0, 0, 0]])


def test_images_of_the_kind_pass_as_often_as_the_gate_says_and_others_do_not() -> None:
    fitted = fit(images(1000, 0))
    assert fitted.gate.false_alarms <= FALSE_ALARMS
    assert unfamiliar(fitted, images(4000, 1)) <= FALSE_ALARMS
    assert unfamiliar(fitted, images(500, 2, kind=1)) == 1
    assert np.mean(fitted.values < fitted.gate.level) <= FALSE_ALARMS


def test_the_p_values_of_new_images_are_uniform_or_conservative() -> None:
    p = np.concatenate([fit(images(200, seed)).familiarity.of(images(100, 100 + seed)) for seed in range(20)])
    for level in (0.02, 0.05, 0.1, 0.3, 0.5):
        assert np.mean(p <= level) <= level + 3 * np.sqrt(level * (1 - level) / len(p))
    assert np.mean(p <= 0.5) >= 0.3  # and not idle


def test_the_gate_keeps_its_promise_in_simulations() -> None:
    """Of gates from 300 images each, at most a twentieth calls more than 1% of the images of the kind unfamiliar."""
    rates = [unfamiliar(fit(images(300, seed)), images(2000, 1000 + seed)) for seed in range(40)]
    assert np.mean(np.array(rates) > FALSE_ALARMS) <= 1 - CONFIDENCE + 0.05


@pytest.mark.parametrize(("count", "most"), [(20, 0.1391), (100, 0.0295), (298, 0.01001), (299, 0.0100)])
def test_few_images_allow_more_false_alarms_and_the_gate_says_so(count: int, most: float) -> None:
    fitted = fit(images(count, 0))
    assert fitted.gate.false_alarms == pytest.approx(most, abs=5e-5)
    assert (fitted.gate.false_alarms <= FALSE_ALARMS) == (count >= 299)
    assert not np.any(fitted.values < fitted.gate.level)  # the threshold is the largest rest
    assert fitted.gate.level == pytest.approx(1.5 / (count + 1))


def test_a_group_counts_once() -> None:
    """Twenty copies of every image are as good as one."""
    one = fit(images(150, 0), np.arange(150))
    copies = fit(np.repeat(images(150, 0), 20, axis=0), np.repeat(np.arange(150), 20))
    assert copies.gate.groups == 150
    assert copies.gate.false_alarms == one.gate.false_alarms
    assert copies.gate.level == pytest.approx(one.gate.level)


def test_a_fold_has_no_part_in_the_values_of_its_own_images() -> None:
    """Another image in a fold changes no rest in it, so its rank there stays, but those of other folds."""
    features = images(100, 0)
    groups = np.arange(100)
    changed = features.copy()
    changed[0] = images(1, 5, kind=3)[0]  # in fold 0
    before, after = fit(features, groups), fit(changed, groups)
    same_fold = np.flatnonzero(groups % 5 == 0)[1:]
    order = np.argsort(before.values[same_fold])
    assert np.array_equal(order, np.argsort(after.values[same_fold]))
    assert after.values[0] == pytest.approx(2 / 101, abs=1e-6)


def test_the_order_of_the_images_has_no_effect() -> None:
    features, groups = images(200, 0), np.arange(200)
    order = np.random.default_rng(1).permutation(200)
    first = fit_familiarity(features, groups % 5, groups, ALL)
    second = fit_familiarity(features[order], groups[order] % 5, groups[order], ALL)
    assert second.gate == first.gate
    assert np.allclose(second.values, first.values[order], atol=1e-3)
    assert np.allclose(second.familiarity.of(features), first.familiarity.of(features), atol=1e-3)


def test_a_row_does_not_depend_on_the_others_to_the_bit() -> None:
    familiarity, features = fit(images(100, 0)).familiarity, images(70, 1)
    assert familiarity.of(features).tolist() == [familiarity.of(row[None])[0] for row in features]
    assert familiarity.of(features[:0]).shape == (0,)


def test_images_in_no_fold_shape_the_axes_and_are_not_measured() -> None:
    """As with a trained network: axes from its training images, p-values from its validation images."""
    features, folds = images(400, 0), np.where(np.arange(400) < 300, -1, 0)
    fitted = fit_familiarity(features, folds, np.arange(400), ALL)
    assert np.isnan(fitted.values[:300]).all()
    assert fitted.gate.groups == 100
    assert unfamiliar(fitted, images(2000, 1)) < 0.03
    assert unfamiliar(fitted, images(200, 1, kind=1)) == 1


@pytest.mark.parametrize("count", [4, 20, 47, 49, 3000])
def test_what_is_stored_is_legal_and_small(count: int) -> None:
    fitted = fit(images(count, 0), folds=2)
    fitted.familiarity.check(WIDTH)
    assert fitted.familiarity.knots.size <= MAX_KNOTS
    assert np.all((fitted.values > 0) & (fitted.values <= 1))


def test_vectors_of_more_numbers_than_images_give_the_same_with_fewer_coordinates() -> None:
    """3,000 features of 60 images: the axes are found in 60 coordinates."""
    random = np.random.default_rng(0)
    features = np.abs(random.normal(size=(60, 3000)) + 3 * random.normal(size=(60, 1))).astype(np.float32)
    fitted = fit_familiarity(features, np.arange(60) % 5, np.arange(60), ((0, 3000),))
    axes = fitted.familiarity.axes.astype(np.float64)
    assert axes.shape == (12, 3000)
    assert np.allclose(axes @ axes.T, np.eye(12), atol=1e-2)
    unit = unit_vectors(features, ((0, 3000),))
    assert np.allclose(fitted.familiarity.mean, unit.mean(axis=0), atol=1e-5)
    assert np.all(fitted.familiarity.of(features) >= fitted.gate.level)


def test_images_that_are_all_alike_are_familiar_and_others_not() -> None:
    same = np.repeat(images(1, 0), 40, axis=0)
    fitted = fit(same)
    assert np.all(fitted.values >= fitted.gate.level)
    assert unfamiliar(fitted, same) == 0
    assert unfamiliar(fitted, images(20, 3, kind=2)) == 1


ILLEGAL = {
    "shapes": {"mean": np.zeros(3, np.float32)},
    "out of range": {"levels": np.array([1.0, np.nan], np.float32)},
    "too many": {
        "knots": np.linspace(0, 1, 300, dtype=np.float32),
        "levels": np.linspace(1, 0.1, 300, dtype=np.float32),
    },
}


@pytest.mark.parametrize("message", ILLEGAL)
def test_illegal_arrays_are_named(message: str) -> None:
    arrays = {
        "mean": np.zeros(2, np.float32),
        "axes": np.eye(2, dtype=np.float16)[:1],
        "knots": np.array([0.1, 0.2], np.float32),
        "levels": np.array([1.0, 0.5], np.float32),
    }
    Familiarity(((0, 2),), **arrays).check(2)
    with pytest.raises(ValueError, match=message):
        Familiarity(((0, 2),), **{**arrays, **ILLEGAL[message]}).check(2)
    with pytest.raises(ValueError, match="shapes"):
        Familiarity(((0, 2),), **arrays).check(1)
