"""Every options record checks its values by the types of its fields."""

from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from twofold.core.errors import TwofoldError, UsageError
from twofold.core.options import (
    BackboneOptions,
    CrossValidationOptions,
    DataOptions,
    DecisionOptions,
    LearningOptions,
    RuntimeOptions,
    TrainingOptions,
)

RECORDS = (DataOptions, BackboneOptions, LearningOptions, CrossValidationOptions, DecisionOptions, RuntimeOptions)
FIELDS = [(record, field.name) for record in RECORDS for field in fields(record)]
LITERALS = [
    (record, name)
    for record, name in FIELDS
    if any(
        get_origin(part) is Literal for part in (get_type_hints(record)[name], *get_args(get_type_hints(record)[name]))
    )
]


@pytest.mark.parametrize(("record", "name"), FIELDS)
@pytest.mark.parametrize("value", [Decimal("NaN"), {}, b"x", float("nan"), float("inf"), [1], 1j], ids=repr)
def test_no_field_accepts_a_value_of_a_foreign_type(record: type, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"`{name}` must be .*, got "):
        record(**{name: value})


@pytest.mark.parametrize(("record", "name"), LITERALS)
def test_an_unknown_choice_is_an_error_that_lists_the_choices(record: type, name: str) -> None:
    hint = get_type_hints(record)[name]
    choices = [word for part in (hint, *get_args(hint)) if get_origin(part) is Literal for word in get_args(part)]
    with pytest.raises(UsageError) as caught:
        record(**{name: choices[0].upper() + "x"})
    assert all(repr(word) in str(caught.value) for word in choices)


@pytest.mark.parametrize(
    ("record", "values", "message"),
    [
        (LearningOptions, {"mode": "scrach"}, "got 'scrach' (did you mean 'scratch'?)."),
        (LearningOptions, {"mode": "Frozen"}, "(did you mean 'frozen'?)"),
        (LearningOptions, {"balance": "samples"}, "(did you mean 'sampler'?)"),
        (
            BackboneOptions,
            {"crop_mode": "x"},
            "`crop_mode` must be 'auto', 'squash', 'center', 'pad', 'both' or None, got 'x'.",
        ),
        (
            BackboneOptions,
            {"features": "first"},
            "`features` must be 'filters', 'stages' or 'last', got 'first'",
        ),
        (BackboneOptions, {"dtype": "F32"}, "(did you mean 'f32'?)"),
        (BackboneOptions, {"filter": "bicubik"}, "(did you mean 'bicubic'?)"),
        (DecisionOptions, {"optimize": "auc"}, "`optimize` must be 'accuracy', 'balanced', 'f1' or None, got 'auc'."),
        (
            DecisionOptions,
            {"prevalence": 2},
            "`prevalence` must be between 0.000001 and 0.999999, got 2.0; 2 percent is written 0.02.",
        ),
        (DecisionOptions, {"simultaneous": True}, "`simultaneous` needs a `promise`."),
        (BackboneOptions, {"size": 224.0}, "`size` must be an integer or None, got 224.0."),
        (BackboneOptions, {"size": True}, "`size` must be an integer or None, got True."),
        (BackboneOptions, {"size": 0}, "`size` must be at least 1, got 0."),
        (BackboneOptions, {"size": "224"}, "`size` must be an integer or None, got '224'."),
        (BackboneOptions, {"weights": "x.pth"}, "`weights` must be a path or None"),
        (BackboneOptions, {"mean": (1, 2)}, "`mean` must be 3 values (each a finite number) or None, got (1, 2)."),
        (BackboneOptions, {"std": (1, 2, "3")}, "`std` must be 3 values"),
        (LearningOptions, {"mode": "scratch", "epochs": 2.5}, "`epochs` must be an integer or None, got 2.5."),
        (
            LearningOptions,
            {"mode": "scratch", "fixed_orientation": 1},
            "`fixed_orientation` must be True or False, got 1.",
        ),
        (LearningOptions, {"mode": "scratch", "augment": False}, "`augment` must be a finite number, got False."),
        (LearningOptions, {"mode": "scratch", "learning_rate": 10**400}, "`learning_rate` must be a finite number"),
        (
            LearningOptions,
            {"mode": "scratch", "pixels_gb": float("inf")},
            "`pixels_gb` must be a finite number, got inf",
        ),
        (CrossValidationOptions, {"folds": None}, "`folds` must be an integer, got None."),
        (CrossValidationOptions, {"seed": "0"}, "`seed` must be an integer, got '0'."),
        (DecisionOptions, {"threshold": "0.5"}, "`threshold` must be a finite number or None, got '0.5'."),
        (RuntimeOptions, {"threads": 1.5}, "`threads` must be an integer or None, got 1.5."),
        (RuntimeOptions, {"cache": None}, "`cache` must be True or False, got None."),
        (DataOptions, {"classes": "ab"}, "`classes` must be 2 values (each text) or None, got 'ab'."),
        (TrainingOptions, {"learning": "scratch"}, "`learning` must be LearningOptions, got 'scratch'."),
        (BackboneOptions, {"backbone": ["a.jpg"] * 1000}, "'a.jpg'... (list)."),
    ],
)
def test_an_invalid_value_is_an_error_of_one_sentence(record: type, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        record(**values)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_all_invalid_values_are_in_one_error() -> None:
    with pytest.raises(UsageError, match=r"`features` .* `dtype` .* `crop_mode` "):
        BackboneOptions(features="x", dtype="y", crop_mode="z")  # type: ignore[arg-type]


def test_a_usage_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="`folds`") as caught:
        CrossValidationOptions(folds=1)
    assert isinstance(caught.value, TwofoldError)


def test_numpy_numbers_become_python_numbers_and_lists_become_tuples() -> None:
    folds = CrossValidationOptions(folds=np.int64(4), seed=np.uint8(3))  # type: ignore[arg-type]
    assert [type(value) for value in (folds.folds, folds.seed)] == [int, int]
    assert type(DecisionOptions(threshold=np.float32(0.5)).threshold) is float  # type: ignore[arg-type]
    network = BackboneOptions(mean=np.array([1, 2, 3]), std=[1, 2, Fraction(1, 2)], features=np.str_("last"))  # type: ignore[arg-type]
    assert network == BackboneOptions(mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 0.5), features="last")
    assert type(network.features) is str
    assert RuntimeOptions(cache=np.True_).cache is True  # type: ignore[arg-type]
    assert BackboneOptions(weights=Path("x")).weights == Path("x")
