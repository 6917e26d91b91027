import numpy as np
import pytest

from twofold.core.errors import UsageError
from twofold.decision import Rule
from twofold.evaluation import METRICS, Evaluation, Requirement, evaluate, parse_requirement


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """8 of 10 positives found, 9 of 10 negatives left alone."""
    labels = np.repeat(np.array([1, 0], np.int8), 10)
    probabilities = np.concatenate([np.full(8, 0.9), np.full(2, 0.2), [0.6], np.full(9, 0.1)])
    return evaluate(labels, probabilities, Rule.at(0.5), classes=("cats", "dogs"))


def test_a_requirement_is_read_with_and_without_spaces() -> None:
    expected = Requirement("recall", "value", ">=", 0.95)
    assert parse_requirement("recall>=0.95") == expected
    assert parse_requirement(" recall >= 0.95 ") == expected
    assert parse_requirement("log-loss<.1") == Requirement("log_loss", "value", "<", 0.1)


def test_a_requirement_is_written_as_it_is_read() -> None:
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
def test_a_requirement_is_met_or_not(evaluation: Evaluation, text: str, met: bool) -> None:
    assert parse_requirement(text).is_met(evaluation) is met


def test_an_undefined_metric_meets_no_requirement() -> None:
    one_class = evaluate(np.zeros(2, np.int8), np.array([0.1, 0.2]), Rule.at(0.5), classes=("cats", "dogs"))
    assert not parse_requirement("recall>=0").is_met(one_class)
    assert not parse_requirement("recall<=1").is_met(one_class)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_required(evaluation: Evaluation, name: str) -> None:
    assert parse_requirement(f"{name}>=0").value_in(evaluation) == evaluation.metrics[name].value


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_the_error_of_an_invalid_text_names_what_is_valid(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_requirement(text)


CLASSES = ("free", "defect")


@pytest.mark.parametrize(
    ("text", "classes", "of", "part"),
    [
        ("recall:defect>=0.98", CLASSES, "defect", "value"),
        ("recall:free.low>=0.95", CLASSES, "free", "low"),
        (" recall : defect.high <= 0.95 ", CLASSES, "defect", "high"),
        ("average-precision:solar cell.low>0.9", ("solar cell", "x"), "solar cell", "low"),
        ("f1:v1.2>=0.9", ("v1.2", "v1.3"), "v1.2", "value"),
        ("f1:v1.2.low>=0.9", ("v1.2", "v1.3"), "v1.2", "low"),
        ("recall:a.low>=0.9", ("a", "a.low"), "a.low", "value"),
        ("recall:a.low.low>=0.9", ("a", "a.low"), "a.low", "low"),
        ('recall:"a".low>=0.9', ("a", "a.low"), "a", "low"),
        ("recall:'defect'>=0.9", CLASSES, "defect", "value"),
        ("precision:ns:cat.low>=0.9", ("ns:cat", "ns:dog"), "ns:cat", "low"),
        ("recall:size>=5>=0.9", ("size<5", "size>=5"), "size>=5", "value"),
        ("recall:size<5.low>=0.9", ("size<5", "size>=5"), "size<5", "low"),
        ("specificity:欠陥.low>=0.9", ("欠陥", "良品"), "欠陥", "low"),
        ("recall:d\u00e9faut>=0.9", ("de\u0301faut", "sain"), "de\u0301faut", "value"),
        ("recall:0.5>=0.5", ("0.5", "1"), "0.5", "value"),
    ],
)
def test_a_class_is_named_whatever_it_is_called(text: str, classes: tuple[str, str], of: str, part: str) -> None:
    for negative_and_positive in (classes, classes[::-1]):
        read = parse_requirement(text, negative_and_positive, alphabetical=True)
        assert (read.class_name, read.interval_field) == (of, part)
    parse_requirement(text)  # before the model's classes are known


def test_a_metric_of_a_named_class_is_that_of_the_class(evaluation: Evaluation) -> None:
    reached = {
        name: parse_requirement(f"{name}>=0", evaluation.classes).value_in(evaluation)
        for name in ("recall:dogs", "recall:cats", "specificity:cats", "precision:cats", "f1:cats")
    }
    assert reached == pytest.approx(
        {"recall:dogs": 0.8, "recall:cats": 0.9, "specificity:cats": 0.8, "precision:cats": 9 / 11, "f1:cats": 18 / 21}
    )
    for name in ("recall", "precision", "f1", "specificity", "average_precision"):
        low = parse_requirement(f"{name}:cats.low>=0", evaluation.classes).value_in(evaluation)
        assert 0 < low < parse_requirement(f"{name}:cats>=0", evaluation.classes).value_in(evaluation)


@pytest.mark.parametrize("name", ["recall", "precision", "specificity", "f1", "average_precision", "recall.low"])
def test_a_merely_alphabetical_positive_class_must_be_named(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"'free' is positive by alphabetical order only: write '.*:defect.*' or '.*:free"
    ):
        parse_requirement(f"{name}>=0.98", ("defect", "free"), alphabetical=True)
    assert parse_requirement(f"{name}>=0.98", ("defect", "free")).class_name is None


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy.low", "mcc", "roc_auc", "log_loss", "brier", "ece"])
def test_a_metric_of_both_classes_needs_no_class(name: str) -> None:
    assert parse_requirement(f"{name}>=0.5", ("defect", "free"), alphabetical=True).class_name is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recall:defct>=0.9", "no class 'defct' .did you mean 'defect'.., it has 'defect' and 'free'"),
        ("recall:defct.low>=0.9", "did you mean 'defect'"),
        ("recall:>=0.9", "no class ''"),
        ("recall:defect.lo>=0.9", "did you mean 'low'"),
        ("accuracy:defect>=0.9", "accuracy is a metric of both classes; leave the class out"),
        ("recall.low:defect>=0.9", "the end of the interval comes last, as in 'recall:CLASS.low>=0.95'"),
        ("recal:defect>=0.9", "did you mean 'recall'"),
    ],
)
def test_the_error_of_an_invalid_class_names_what_is_valid(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_requirement(text, CLASSES)


@pytest.mark.parametrize("label", [0, 1])
def test_the_message_of_an_undefined_metric_says_why(label: int) -> None:
    one = evaluate(np.full(4, label, np.int8), np.array([0.1, 0.2, 0.7, 0.9]), Rule.at(0.5), classes=CLASSES)
    other = CLASSES[1 - label]
    for text in (f"recall:{other}>=0", "roc_auc>=0", f"precision:{CLASSES[label]}<=1", f"average_precision:{other}>=0"):
        requirement = parse_requirement(text, CLASSES)
        assert not requirement.is_met(one)
        message = f"{text} is not met: the value is undefined, because there are no images of '{other}'."
        assert requirement.shortfall(one) == message
    assert parse_requirement(f"recall:{CLASSES[label]}>=0.5", CLASSES).is_met(one)


def test_a_precision_without_predictions_is_undefined() -> None:
    none = evaluate(np.array([0, 1], np.int8), np.array([0.1, 0.2]), Rule.at(0.5), classes=CLASSES)
    requirement = parse_requirement("precision:defect>=0", CLASSES)
    assert not requirement.is_met(none)
    assert "no image was predicted to be of that class" in requirement.shortfall(none)


def test_the_error_of_a_rule_that_decides_nothing_is_undefined_and_says_why() -> None:
    unsure = evaluate(np.array([1, 0], np.int8), np.array([0.6, 0.4]), Rule(0.2, 0.8), classes=("cats", "dogs"))
    requirement = parse_requirement("error<=0.1")
    assert not requirement.is_met(unsure)
    assert (
        requirement.shortfall(unsure) == "error<=0.1 is not met: the value is undefined, because every image is unsure."
    )
    assert parse_requirement("coverage<=0").is_met(unsure)
