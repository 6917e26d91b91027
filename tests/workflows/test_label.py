import numpy as np
import pytest
from simulated_person import answer_all, next_rows

from twofold.decision.few_labels import fit_axes
from twofold.evaluation import Interval
from twofold.workflows.label import (
    CYCLE,
    FIRST_IMAGES,
    LabelSession,
    StopAdvice,
    exact_interval,
    start_session,
)

LABELS = (np.random.default_rng(1).random(300) < 0.4).astype(np.int8)


@pytest.fixture(scope="module")
def coordinates() -> np.ndarray:
    random = np.random.default_rng(0)
    features = random.normal(size=(300, 10)) + 1.5 * LABELS[:, None] * (np.arange(10) < 2)
    axes = fit_axes(features.astype(np.float32))
    return axes.coordinates(features.astype(np.float32))


def labelled(coordinates: np.ndarray, count: int, seed: int = 0) -> LabelSession:
    session = start_session(coordinates, seed)
    while len(session.answers) < count:
        session = answer_all(session, next_rows(session, min(4, count - len(session.answers))), LABELS)
    return session


def test_no_image_is_proposed_twice_and_all_are_in_the_end(coordinates: np.ndarray) -> None:
    session = start_session(coordinates[:30])
    while rows := next_rows(session, 7):
        assert len(set(rows)) == len(rows)
        assert not set(rows) & set(session.rows.tolist())
        session = answer_all(session, rows, LABELS)
    assert sorted(session.rows.tolist()) == list(range(30))
    assert session.random_rows.tolist() == session.order[:4].tolist()


def test_an_image_of_the_random_order_that_was_passed_over_is_proposed_again_and_ends_the_random_part(
    coordinates: np.ndarray,
) -> None:
    session = labelled(coordinates, 30)
    first = int(session.random_rows[0])
    passed_over = start_session(coordinates)
    passed_over = answer_all(passed_over, [row for row in session.rows.tolist() if row != first], LABELS)
    assert passed_over.random_rows.tolist() == []
    assert next_rows(passed_over, 1) == [first]
    assert passed_over.answered(first, 0).random_rows.tolist() == session.random_rows.tolist()


def test_the_first_images_are_diverse_and_one_in_five_of_the_others_is_next_in_the_random_order(
    coordinates: np.ndarray,
) -> None:
    session = start_session(coordinates)
    session = answer_all(session, next_rows(session, FIRST_IMAGES), LABELS)
    assert len(session.answers) == FIRST_IMAGES
    random_part: list[int] = []
    for number in range(FIRST_IMAGES, 40):
        (row,) = next_rows(session, 1)
        unanswered = np.setdiff1d(session.order, session.rows)
        if CYCLE[number % len(CYCLE)] == "random":
            due = session.order[len(session.random_rows)]
            random_part.append(int(due))
        if CYCLE[number % len(CYCLE)] == "random" and due in unanswered:
            assert row == due
        elif CYCLE[number % len(CYCLE)] != "unfamiliar":
            logits = np.abs(session.head.logits(coordinates))
            assert logits[row] == logits[unanswered].min()
        session = answer_all(session, [row], LABELS)
    assert session.random_rows.tolist() == random_part == session.order[: len(random_part)].tolist()
    assert CYCLE.count("random") / len(CYCLE) == 0.2


def test_undo_takes_back_one_answer_after_the_other_and_a_second_answer_replaces_the_first(
    coordinates: np.ndarray,
) -> None:
    session = start_session(coordinates).answered(5, 1).answered(6, 0)
    assert session.undone().answers == start_session(coordinates).answered(5, 1).answers
    assert session.undone().undone().undone().answers == ()
    changed = session.answered(5, 0)
    assert (changed.rows.tolist(), changed.labels.tolist()) == ([6, 5], [0, 0])


def test_the_accuracy_comes_from_the_random_part_and_covers_that_on_the_pool(coordinates: np.ndarray) -> None:
    """With a coverage of 95%, 33 of 40 runs are covered or more with a probability of 0.998."""
    covered = []
    for seed in range(40):
        session = labelled(coordinates, 60, seed)
        rest = np.setdiff1d(np.arange(300), session.rows)
        truth = np.mean((session.head.logits(coordinates[rest]) > 0) == (LABELS[rest] == 1))
        interval = session.accuracy
        covered.append(interval.low <= truth <= interval.high)
        assert len(session.random_rows) == 10
    assert sum(covered) >= 33


def test_an_image_of_the_random_part_is_answered_by_a_head_that_did_not_see_it(coordinates: np.ndarray) -> None:
    """With labels of coins no head knows an unseen image; one that has seen it does."""
    coins = (np.random.default_rng(5).random(300) < 0.5).astype(np.int8)
    session = start_session(coordinates)
    session = answer_all(session, session.order[:150].tolist(), coins)
    assert len(session.random_rows) == 28
    seen = np.mean((session.head.logits(coordinates[session.rows]) > 0) == (session.labels == 1))
    assert session.accuracy.low < 0.5 < session.accuracy.high
    assert seen > session.accuracy.value


def test_without_a_random_part_nothing_is_claimed(coordinates: np.ndarray) -> None:
    session = start_session(coordinates)
    assert (session.accuracy.low, session.accuracy.high) == (0, 1)
    last = int(session.order[-1])
    assert (session.answered(last, 1).accuracy.low, session.advice()) == (0, None)


def test_exact_intervals_are_those_of_the_literature() -> None:
    """Clopper and Pearson's 95% interval for 19 of 20 as R's binom.test gives it."""
    interval = exact_interval(1, 20)
    assert (interval.low, interval.high) == pytest.approx((0.7512672, 0.9987349), abs=1e-6)
    assert exact_interval(0, 10).high == 1
    assert exact_interval(10, 10).low == 0


def test_advice_names_as_many_labels_again_and_no_gain_that_is_not_certain(coordinates: np.ndarray) -> None:
    session = answer_all(start_session(coordinates), start_session(coordinates).order[:120].tolist(), LABELS)
    advice = session.advice()
    assert advice is not None
    assert advice.answers == 120
    assert advice.gain.low <= advice.gain.value <= advice.gain.high
    rest = answer_all(session, session.order[120:200].tolist(), LABELS).advice()
    assert rest is not None
    assert rest.answers == 100  # what is left
    gain = StopAdvice(300, Interval(0.004, 0.001, 0.008)).text
    assert gain == "300 more labels would bring about +0.4 points of accuracy [+0.1, +0.8]."
    assert StopAdvice(300, Interval(0.004, -0.001, 0.008)).text == "A gain from 300 more labels is not certain."


def test_the_same_seed_asks_about_the_same_images(coordinates: np.ndarray) -> None:
    first, second, other = (labelled(coordinates, 40, seed).rows.tolist() for seed in (3, 3, 4))
    assert first == second != other
