"""The bound on wrong labels that are left: hand-computed, monotone, and it holds under stopping whenever one likes."""

import math

import numpy as np
import pytest

from twofold.audit.remaining_errors import RandomDraw, most_wrong_left


def right_draws(total: int, count: int) -> list[RandomDraw]:
    return [RandomDraw(total - number, 0, wrong=False) for number in range(count)]


def test_with_no_wrong_label_the_bound_is_the_largest_number_that_would_hide_with_a_fortieth() -> None:
    """The alternative "none is wrong" has weight 1/2, so a number w is contradicted where P(no hit | w) is 1/40, or nearly: the
    other alternatives add a little. The probability is hypergeometric."""
    bound = most_wrong_left(right_draws(500, 100), 400, 0)

    def hidden(wrong: int) -> float:
        return math.comb(500 - wrong, 100) / math.comb(500, 100)

    assert hidden(bound) > 1 / 40
    assert hidden(bound + 2) < 1 / 20


def test_without_a_draw_nothing_is_known_and_with_all_checked_nothing_is_left() -> None:
    assert most_wrong_left([], 321, 5) == 321
    assert most_wrong_left(right_draws(10, 10), 0, 0) == 0


def test_more_right_draws_lower_the_bound_and_a_wrong_one_raises_it() -> None:
    bounds = [most_wrong_left(right_draws(1000, count), 1000 - count, 0) for count in (20, 60, 200, 600)]
    assert bounds == sorted(bounds, reverse=True)
    with_wrong = [*right_draws(1000, 60), RandomDraw(940, 0, wrong=True)]
    assert most_wrong_left(with_wrong, 939, 1) > most_wrong_left(right_draws(1000, 61), 939, 0)


def test_wrong_labels_that_the_ranking_found_do_not_count_as_left() -> None:
    """Draws after 40 wrong labels were found say as much about the rest as without them."""
    after = [RandomDraw(900 - number, 40, wrong=False) for number in range(100)]
    before = [RandomDraw(900 - number, 0, wrong=False) for number in range(100)]
    assert most_wrong_left(after, 800, 40) == most_wrong_left(before, 800, 0)


@pytest.mark.parametrize("wrong", [0, 4, 30])
def test_the_bound_holds_at_all_times_together(wrong: int) -> None:
    """A ranking that finds most wrong labels first, one draw in ten at random: in how many runs is the bound ever too low?"""
    random, failures, runs = np.random.default_rng(wrong), 0, 60
    for _ in range(runs):
        labels = np.zeros(300, np.bool_)
        labels[random.choice(300, wrong, replace=False)] = True
        ranked = np.argsort(-(labels + random.normal(0, 0.6, 300))).tolist()
        order, checked, corrections, draws, missed = random.permutation(300).tolist(), set(), 0, [], False
        for place in range(150):
            is_random = place % 3 == 2
            row = next(row for row in (order if is_random else ranked) if row not in checked)
            if is_random:
                draws.append(RandomDraw(300 - len(checked), corrections, bool(labels[row])))
            checked.add(row)
            corrections += int(labels[row])
            if is_random:
                missed |= wrong - corrections > most_wrong_left(draws, 300 - len(checked), corrections)
        failures += missed
    assert failures <= 8  # at 5% more than 8 of 60 have a probability of 0.2%
