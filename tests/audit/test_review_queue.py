"""The review queue: order, reasons, and the random part."""

from typing import Any

import numpy as np
import pytest

from twofold.audit.review_queue import ReviewItem, random_order, review_queue, upcoming
from twofold.duplicates import Duplicate

HASHES = [f"{number:064x}" for number in range(200)]


LABELS = np.array([0, 0, 1, 1, 0, 1, 0, 1], np.int8)
VALID = np.array([True, True, True, True, False, False, True, True])
PAIRS = [Duplicate(4, 5, "exact"), Duplicate(0, 2, "near"), Duplicate(3, 7, "near"), Duplicate(1, 6, "exact")]


def queue(**options: Any) -> dict[int, ReviewItem]:
    p_label_error = np.array([0.9, 0.01, 0.2, 0.0, np.nan, np.nan, 0.6, 0.0])
    probabilities = np.array([0.99, 0.5, 0.1, 0.99, 0.1, 0.9, 0.9, 0.9])
    items = review_queue(LABELS, VALID, PAIRS, p_label_error, probabilities, 0.5, **options)
    assert [item.worth for item in items] == sorted((item.worth for item in items), reverse=True)
    assert sorted(item.row for item in items) == list(range(8))
    return {item.row: item for item in items}


def test_each_image_has_its_best_reason() -> None:
    items = queue()
    assert (items[4].reason, items[4].other, items[5].other) == ("conflict", 5, 4)
    assert items[0].worth == 0.9
    assert (items[2].reason, items[2].worth, items[2].other) == ("other-label", 0.5, 0)
    assert (items[6].reason, items[6].worth) == ("label-error", 0.6)
    assert (items[1].reason, items[3].reason) == ("borderline", "ranked")
    assert (items[7].reason, items[7].other) == ("duplicate", 3)


def test_conflicts_come_before_probable_label_errors_before_images_that_the_model_is_unsure_of() -> None:
    order = sorted(queue().values(), key=lambda item: -item.worth)
    assert {item.row for item in order[:2]} == {4, 5}
    assert [item.row for item in order[2:5]] == [0, 6, 2]


def test_leaked_and_unfamiliar_images_move_up() -> None:
    familiarity = np.array([0.5, 0.5, 0.5, 0.001, np.nan, np.nan, 0.5, 0.5])
    items = queue(familiarity=familiarity, least_familiarity=0.01, leaked=[1])
    assert (items[3].reason, items[1].reason) == ("unfamiliar", "leak")
    assert items[1].worth > items[3].worth


def test_the_random_order_depends_on_contents_and_seed_only() -> None:
    order = random_order(HASHES, 0)
    assert sorted(order) == list(range(200))
    assert order != random_order(HASHES, 1)
    backwards = random_order(HASHES[::-1], 0)
    assert [HASHES[row] for row in order] == [HASHES[::-1][row] for row in backwards]


@pytest.fixture
def ranked() -> list[ReviewItem]:
    return [ReviewItem(row, "label-error", 1 - row / 200) for row in range(200)]


def test_one_image_in_ten_is_drawn_at_random(ranked: list[ReviewItem]) -> None:
    order = random_order(HASHES, 0)
    items = upcoming(ranked, order, {}, 50)
    assert [place for place, item in enumerate(items) if item.reason == "random"] == [9, 19, 29, 39, 49]
    assert next(item.row for item in items if item.reason == "random") == next(row for row in order if row > 8)
    assert len({item.row for item in items}) == 50


def test_what_comes_next_is_the_same_whether_asked_at_once_or_one_by_one(ranked: list[ReviewItem]) -> None:
    order, checked, seen = random_order(HASHES, 0), dict[int, object](), []
    for _ in range(50):
        (item,) = upcoming(ranked, order, checked, 1)
        seen.append(item)
        checked[item.row] = None
    assert seen == upcoming(ranked, order, {}, 50)


def test_at_the_end_all_images_were_shown_once(ranked: list[ReviewItem]) -> None:
    order = random_order(HASHES, 0)
    assert sorted(item.row for item in upcoming(ranked, order, {}, 1000)) == list(range(200))
    assert upcoming(ranked, order, dict.fromkeys(range(200)), 5) == []
    only = upcoming(ranked, order, {}, 7, random_only=True)
    assert [item.row for item in only] == order[:7]
