"""The two classes: their names, the positive one, their numbers of images."""

import pytest

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import check_counts, check_same_classes, choose_positive
from twofold.data.classes import choose_classes

NONE = DataOptions()


def test_two_classes_come_in_alphabetical_order() -> None:
    assert choose_classes({"dogs": 3, "cats": 4}, NONE, "D") == ("cats", "dogs")
    assert choose_classes({"a": 1, "b": 1, "c": 1}, DataOptions(classes=("c", "a")), "D") == ("a", "c")


def test_any_other_number_of_classes_is_an_error_that_lists_them_and_says_what_to_do() -> None:
    with pytest.raises(
        DataError,
        match=r"three.*got 3, cats \(9 files\), dogs \(8 files\), ants \(2 files\).*`classes=\('cats', 'dogs'\)`",
    ):
        choose_classes({"ants": 2, "dogs": 8, "cats": 9}, NONE, "three")
    with pytest.raises(DataError, match=r"got only cats \(9 files\).*`label_pattern`"):
        choose_classes({"cats": 9}, NONE, "D")
    with pytest.raises(DataError, match="got none"):
        choose_classes({}, NONE, "D")
    with pytest.raises(DataError, match="and 30 more"):
        choose_classes({f"c{number}": 1 for number in range(50)}, NONE, "D")


def test_a_missing_or_empty_class_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match=r"no class 'cat' \(did you mean 'cats'\?\)"):
        choose_classes({"cats": 9, "dogs": 9}, DataOptions(classes=("cat", "dogs")), "D")
    with pytest.raises(DataError, match="class 'dogs' of D has no files"):
        choose_classes({"cats": 9, "dogs": 0}, NONE, "D")


def test_the_second_class_is_positive_by_default() -> None:
    assert choose_positive(("cats", "dogs"), None) == "dogs"
    assert choose_positive(("cats", "dogs"), "cats") == "cats"
    with pytest.raises(UsageError, match="^`positive` must be 'cats' or 'dogs', got 'cow'"):
        choose_positive(("cats", "dogs"), "cow")


def test_too_few_usable_images_are_an_error_that_names_every_such_class() -> None:
    check_counts({"cats": 10, "dogs": 10}, 10)
    with pytest.raises(
        DataError, match="At least 10 usable images per class are needed, 'cats' has 9 and 'dogs' has 0"
    ):
        check_counts({"cats": 9, "dogs": 0}, 10)
    check_counts({"cats": 1, "dogs": 2}, 1)


def test_the_test_set_must_have_the_classes_of_the_model() -> None:
    check_same_classes(("cats", "dogs"), ("dogs", "cats"))
    with pytest.raises(DataError, match="has the classes 'cats' and 'dogs', these images have 'cat' and 'dog'"):
        check_same_classes(("cats", "dogs"), ("cat", "dog"))


def test_an_evaluation_suggests_the_classes_of_the_model() -> None:
    counts = {"birds": 90, "cats": 1, "dogs": 2, "fish": 80}
    with pytest.raises(DataError, match=r"choose two, as in `classes=\('cats', 'dogs'\)`\."):
        choose_classes(counts, NONE, "D", model_classes=("dogs", "cats"))
    with pytest.raises(DataError, match=r"choose two, as in `classes=\('dogs', 'my cats'\)`\."):
        choose_classes({"my cats": 1, **counts}, NONE, "D", model_classes=("my cats", "dogs"))
    with pytest.raises(DataError, match="the model has 'cats' and 'cows'; rename"):
        choose_classes(counts, NONE, "D", model_classes=("cats", "cows"))
    assert choose_classes({"cats": 1, "dogs": 2}, NONE, "D", model_classes=("a", "b")) == ("cats", "dogs")


def test_images_with_conflicting_labels_lead_to_other_advice_than_too_few_images() -> None:
    with pytest.raises(DataError) as raised:
        check_counts({"cats": 0, "dogs": 3}, 10, conflicts={"cats": ["a.jpg", "b.jpg"], "dogs": ["c.jpg"]})
    assert "'cats' has 0 and 'dogs' has 3: all 2 images of 'cats' have both labels, such as a.jpg" in str(raised.value)
    assert "; 1 other image of 'dogs' has both labels, such as c.jpg; decide" in str(raised.value)
    assert "add images" not in str(raised.value)
    with pytest.raises(DataError, match="add images"):
        check_counts({"cats": 3, "dogs": 30}, 10, conflicts={"cats": [], "dogs": ["c.jpg"]})
