"""The life of a watch: what counts, what is remembered, and that it does not matter how images come in blocks."""

import numpy as np
import pytest

from twofold.decision.martingale import prevalence_bets, shift_bets
from twofold.decision.rank_urn import fit_urn
from twofold.workflows.image_measures import MeasuredBatch, MeasuredImage
from twofold.workflows.monitors import Monitor
from twofold.workflows.watch_life import WatchLife
from twofold.workflows.watch_state import RECENT, REMEMBERED, WatchState, new_state


@pytest.fixture(scope="module")
def monitors() -> tuple[Monitor, ...]:
    urn = fit_urn(np.random.default_rng(0).normal(size=200))
    assert urn is not None
    return Monitor("familiarity", urn, shift_bets()), Monitor("logit", urn, prevalence_bets(0.5))


def images(count: int, start: int = 0) -> tuple[MeasuredImage, ...]:
    rng = np.random.default_rng(start)
    rows = rng.normal(0.4, 1, (count, 2))
    return tuple(
        MeasuredImage(f"{start + row:012x}", {"familiarity": each[0], "logit": each[1]})
        for row, each in enumerate(rows)
    )


def live(monitors: tuple[Monitor, ...], batches: list[tuple[MeasuredImage, ...]]) -> WatchState:
    life = WatchLife(monitors, frozenset(), new_state("", monitors))
    for batch in batches:
        life.add(MeasuredBatch(batch))
    return life.state


def test_blocks_and_readings_in_between_change_nothing(monitors: tuple[Monitor, ...]) -> None:
    stream = images(150)
    one = live(monitors, [stream])
    singly = WatchLife(monitors, frozenset(), new_state("", monitors))
    for number, image in enumerate(stream):
        singly.add(MeasuredBatch((image,)))
        if number % 7 == 0:
            assert len(singly.readings) == 2
    assert singly.state.as_json() == one.as_json()
    assert live(monitors, [stream[:41], stream[41:]]).as_json() == one.as_json()


def test_a_measure_that_an_image_lacks_is_not_bet_on(monitors: tuple[Monitor, ...]) -> None:
    stream = images(50)
    lacking = tuple(MeasuredImage(each.digest, {"logit": each.measures["logit"]}) for each in stream)
    state = live(monitors, [lacking])
    assert state.images == 50
    assert state.martingales["familiarity"].count == 0
    assert state.martingales["logit"].stakes.tolist() == live(monitors, [stream]).martingales["logit"].stakes.tolist()


def test_the_oldest_image_is_forgotten_and_counts_again() -> None:
    life = WatchLife((), frozenset(), new_state("", ()))
    stream = tuple(MeasuredImage(f"{number:012x}", {}) for number in range(REMEMBERED + 1))
    life.add(MeasuredBatch(stream))
    life.add(MeasuredBatch(stream[1:]))
    assert (life.state.images, life.state.repeated) == (REMEMBERED + 1, REMEMBERED)
    life.add(MeasuredBatch(stream[:1]))
    assert life.state.images == REMEMBERED + 2
    assert life.state.digests[-1] == stream[0].digest
    assert len(life.state.digests) == REMEMBERED


def test_only_the_last_measures_are_kept(monitors: tuple[Monitor, ...]) -> None:
    stream = images(RECENT + 10)
    recent = live(monitors, [stream]).recent["logit"]
    assert recent == tuple(image.measures["logit"] for image in stream[10:])
