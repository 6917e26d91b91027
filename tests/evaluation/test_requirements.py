import numpy as np
import pytest

from twofold.errors import UsageError
from twofold.evaluation import METRICS, Evaluation, Requirement, evaluate, parse_requirement


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """8 of 10 positives found, 9 of 10 negatives left alone."""
    labels = np.repeat(np.array([1, 0], np.int8), 10)
    probabilities = np.concatenate([np.full(8, 0.9), np.full(2, 0.2), [0.6], np.full(9, 0.1)])
    return evaluate(labels, probabilities, 0.5, classes=("cats", "dogs"))


def test_a_requirement_is_read_with_and_without_spaces() -> None:
    expected = Requirement("recall", "value", ">=", 0.95)
    assert parse_requirement("recall>=0.95") == expected
    assert parse_requirement(" recall >= 0.95 ") == expected
    assert parse_requirement("log-loss<.1") == Requirement("log_loss", "value", "<", 0.1)


def test_it_is_written_as_it_is_read() -> None:
    for text in ("recall>=0.95", "roc_auc.low>0.9", "ece.high<=0.01", "log_loss<0.1"):
        assert str(parse_requirement(text)) == text


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("recall>=0.8", True),
        ("recall>0.8", False),
        ("recall<=0.8", True),
        ("recall<0.8", False),
        ("recall.low>=0.8", False),
        ("recall.low>=0.45", True),
        ("specificity>=0.9", True),
        ("ece<=1", True),
        ("log_loss<0.01", False),
    ],
)
def test_it_is_met_or_not(evaluation: Evaluation, text: str, met: bool) -> None:
    assert parse_requirement(text).met(evaluation) is met


def test_what_is_undefined_meets_nothing() -> None:
    one_class = evaluate(np.zeros(2, np.int8), np.array([0.1, 0.2]), 0.5, classes=("cats", "dogs"))
    assert not parse_requirement("recall>=0").met(one_class)
    assert not parse_requirement("recall<=1").met(one_class)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_required(evaluation: Evaluation, name: str) -> None:
    assert parse_requirement(f"{name}>=0").reached(evaluation) == evaluation.metrics[name].value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("recal>=0.9", "did you mean 'recall'.*accuracy, balanced_accuracy"),
        ("recall.lo>=0.9", "value, low, high.*did you mean 'low'"),
        ("recall=0.9", "'recall>=0.95'"),
        ("recall", "'recall>=0.95'"),
        ("recall>=high", "'high' is not a number"),
        ("recall>=nan", "between 0 and 1"),
        ("accuracy>=95", "accuracy lies between 0 and 1, got 95; 95 percent is written 0.95"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_can(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_requirement(text)
