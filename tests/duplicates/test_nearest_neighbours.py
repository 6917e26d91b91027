"""Nearest vectors without comparing all."""

import tracemalloc

import numpy as np
import pytest

from twofold.duplicates.nearest_neighbours import directions, nearest_pairs


def twins(count: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """`count` random vectors, and the same with some noise."""
    random = np.random.default_rng(0)
    first = random.normal(size=(count, 64)).astype(np.float32)
    return first, first + random.normal(0, noise, first.shape).astype(np.float32)


def test_twins_find_each_other_among_thousands() -> None:
    a, b = twins(2000)
    whole = directions(np.concatenate([a, b]))
    pairs = {frozenset(map(int, pair)) for pair in nearest_pairs(whole, 2, 0.6)}
    assert np.mean([frozenset((row, row + 2000)) in pairs for row in range(2000)]) > 0.97


@pytest.mark.slow
def test_twins_in_one_crowd_find_each_other_and_not_all_are_compared_with_all() -> None:
    random = np.random.default_rng(0)
    away = random.uniform(0, 1, (5000, 1)) * random.normal(0, 1, (5000, 64))
    crowd = random.normal(0, 3, 64) + np.concatenate([away, away * random.normal(1, 0.02, (5000, 64))])
    whole = directions(np.concatenate([crowd, random.normal(0, 5, (3000, 64))]).astype(np.float32))
    tracemalloc.start()
    pairs = {frozenset(map(int, pair)) for pair in nearest_pairs(whole, 2, 0.6)}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.mean([frozenset((row, row + 5000)) in pairs for row in range(5000)]) > 0.97
    assert most < 100e6


def test_what_is_not_near_is_no_pair() -> None:
    a, _ = twins(300)
    assert len(nearest_pairs(directions(a), 2, 0.9)) == 0


def test_numbers_that_never_vary_and_a_single_vector_break_nothing() -> None:
    same = np.ones((5, 8), np.float32)
    assert np.isfinite(directions(same)).all()
    assert nearest_pairs(directions(same[:1]), 2, 0.5).shape == (0, 2)
