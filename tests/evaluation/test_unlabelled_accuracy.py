"""The accuracy among unlabelled images: by hand, its coverage, and what it is corrected for."""

import numpy as np
import pytest

from twofold.decision import fit_calibration
from twofold.decision.bounds import upper_bound
from twofold.decision.rule import UNFAMILIAR, UNSURE
from twofold.evaluation.intervals import Interval
from twofold.evaluation.prevalence_estimate import estimate_prevalence
from twofold.evaluation.unlabelled_accuracy import LabelledDecisions, UnlabelledAccuracy, estimate_accuracy

HALF = Interval(0.5, 0.45, 0.55)


def estimate(
    probabilities: list[float],
    decisions: list[int],
    labelled: LabelledDecisions,
    prevalence: Interval = HALF,
) -> UnlabelledAccuracy:
    result = estimate_accuracy(np.array(probabilities), np.array(decisions, np.int8), prevalence, labelled)
    assert result is not None
    return result


def labelled(
    labels: list[int],
    probabilities: list[float],
    decisions: list[int],
    copies: int = 1,
    groups: np.ndarray | None = None,
) -> LabelledDecisions:
    columns = (np.tile(np.array(column, np.int8), copies) for column in (labels, decisions))
    of_labels, of_decisions = columns
    return LabelledDecisions(of_labels, np.tile(probabilities, copies), of_decisions, groups)


CALIBRATED = labelled([1, 1, 1, 0, 0, 0, 0, 1], [0.75] * 4 + [0.25] * 4, [1] * 4 + [0] * 4, copies=25)


def test_where_probabilities_are_calibrated_their_mean_is_the_accuracy() -> None:
    result = estimate([0.9, 0.2, 0.7], [1, 0, 1], CALIBRATED)
    # The mean of 0.9, 0.8 and 0.7; three of four labelled decisions are right in each class, as their probabilities say.
    assert result.accuracy.value == pytest.approx(0.8, abs=1e-12)
    assert result.decided == 3


def test_the_labelled_images_correct_errors_of_the_calibration() -> None:
    modest = labelled([0, 0, 1, 1], [0.2, 0.2, 0.8, 0.8], [0, 0, 1, 1], copies=50)  # always right, with 80%
    assert estimate([0.2, 0.8] * 20, [0, 1] * 20, modest).accuracy.value == pytest.approx(1, abs=1e-12)


def test_probabilities_change_with_the_prevalence() -> None:
    result = estimate([0.75], [1], CALIBRATED, Interval(0.9, 0.85, 0.95))
    # The odds of 3 become 27. Residuals of the four kinds: 1 - 27/28, -27/28; 1 - 1/4, -1/4 at the odds of 1 / 3 times 9.
    positive = (3 * (1 - 27 / 28) + (0 - 0.25)) / 4
    negative = (3 * (1 - 0.25) + (0 - 27 / 28)) / 4
    assert result.accuracy.value == pytest.approx(min(1, 27 / 28 + 0.9 * positive + 0.1 * negative), abs=1e-12)


def test_images_without_a_decision_do_not_count() -> None:
    result = estimate([0.9, 0.5, 0.3, 0.1], [1, UNSURE, UNFAMILIAR, 0], CALIBRATED)
    assert result.decided == 2
    nothing = estimate_accuracy(np.array([0.5]), np.array([UNSURE], np.int8), HALF, CALIBRATED)
    assert nothing is None


def test_groups_and_an_unsure_prevalence_widen_the_interval() -> None:
    probabilities, decisions = [0.9, 0.1, 0.6] * 100, [1, 0, 1] * 100
    plain = estimate(probabilities, decisions, CALIBRATED).accuracy
    grouped = LabelledDecisions(
        CALIBRATED.labels, CALIBRATED.probabilities, CALIBRATED.decisions, np.sort(np.arange(200) % 20)
    )
    skewed = labelled([1, 1, 0, 0], [0.75, 0.75, 0.25, 0.75], [1, 1, 0, 1], copies=50)
    for narrow, wide in (
        (plain, estimate(probabilities, decisions, LabelledDecisions(**_fields(grouped), factor=4)).accuracy),
        (
            estimate(probabilities, decisions, skewed).accuracy,
            estimate(probabilities, decisions, skewed, Interval(0.5, 0.2, 0.8)).accuracy,
        ),
    ):
        assert wide.high - wide.low > narrow.high - narrow.low
        assert wide.value == narrow.value


def _fields(decisions: LabelledDecisions) -> dict[str, np.ndarray | None]:
    return {name: getattr(decisions, name) for name in ("labels", "probabilities", "decisions", "groups")}


def test_where_few_errors_are_expected_there_may_be_none() -> None:
    sure = labelled([0, 1], [0.01, 0.99], [0, 1], copies=100)
    accuracy = estimate([0.01, 0.99] * 50, [0, 1] * 50, sure).accuracy
    assert accuracy.high == 1
    assert accuracy.low > 0.9


@pytest.mark.parametrize(
    ("base", "new", "separation", "count"), [(0.5, 0.5, 3.0, 300), (0.5, 0.2, 3.0, 300), (0.1, 0.2, 4.0, 1000)]
)
def test_the_interval_holds_the_accuracy_in_93_percent_of_streams(
    base: float, new: float, separation: float, count: int
) -> None:
    """400 streams of 300 images: the share of misses is not significantly above 7%, at 99.9% (Clopper and Pearson)."""
    missed = 0
    for seed in range(400):
        rng = np.random.default_rng([seed, count])
        labels, truth = ((rng.random(n) < p).astype(np.int8) for n, p in ((count, base), (300, new)))
        logits, recent = (rng.normal(separation * (each - 0.5), 1) for each in (labels, truth))
        curve = fit_calibration(logits, labels)
        known, probabilities = curve.probabilities(logits), curve.probabilities(recent)
        prevalence = estimate_prevalence(probabilities, labels, known).prevalence
        decisions = (probabilities >= 0.5).astype(np.int8)
        told = estimate_accuracy(
            probabilities, decisions, prevalence, LabelledDecisions(labels, known, (known >= 0.5).astype(np.int8))
        )
        assert told is not None
        accuracy = np.mean(decisions == truth)
        missed += not told.accuracy.low <= accuracy <= told.accuracy.high
    assert 1 - upper_bound(400 - missed, 400, 0.999) <= 0.07
