"""The two classes."""

import pytest

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import check_counts, check_same_classes, choose_positive
from twofold.data.classes import choose_classes

NONE = DataOptions()


def test_two_classes_come_in_alphabetical_order() -> None:
    assert choose_classes({"dogs": 3, "cats": 4}, NONE, "D") == ("cats", "dogs")
    assert choose_classes({"a": 1, "b": 1, "c": 1}, DataOptions(classes=("c", "a")), "D") == ("a", "c")


def test_any_other_number_of_classes_lists_what_is_there_and_says_what_to_do() -> None:
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


def test_a_class_that_is_not_there_or_empty_is_named() -> None:
    with pytest.raises(DataError, match=r"no class 'cat' \(did you mean 'cats'\?\)"):
        choose_classes({"cats": 9, "dogs": 9}, DataOptions(classes=("cat", "dogs")), "D")
    with pytest.raises(DataError, match="class 'dogs' of D has no files"):
        choose_classes({"cats": 9, "dogs": 0}, NONE, "D")


def test_the_second_class_is_positive_unless_told() -> None:
    assert choose_positive(("cats", "dogs"), None) == "dogs"
    assert choose_positive(("cats", "dogs"), "cats") == "cats"
    with pytest.raises(UsageError, match="'cats' or 'dogs', got 'cow'"):
        choose_positive(("cats", "dogs"), "cow")


def test_too_few_usable_pictures_are_told_for_every_class() -> None:
    check_counts({"cats": 10, "dogs": 10}, 10)
    with pytest.raises(
        DataError, match="At least 10 usable images per class are needed, 'cats' has 9 and 'dogs' has 0"
    ):
        check_counts({"cats": 9, "dogs": 0}, 10)
    check_counts({"cats": 1, "dogs": 2}, 1)


def test_the_classes_of_training_and_test_must_be_the_same() -> None:
    check_same_classes(("cats", "dogs"), ("dogs", "cats"))
    with pytest.raises(DataError, match="has the classes 'cats' and 'dogs', these images have 'cat' and 'dog'"):
        check_same_classes(("cats", "dogs"), ("cat", "dog"))


def test_where_a_model_is_to_answer_its_classes_are_advised() -> None:
    counts = {"birds": 90, "cats": 1, "dogs": 2, "fish": 80}
    with pytest.raises(DataError, match=r"choose two, as in `classes=\('cats', 'dogs'\)`\."):
        choose_classes(counts, NONE, "D", wanted=("dogs", "cats"))
    with pytest.raises(DataError, match=r"choose two, as in `classes=\('dogs', 'my cats'\)`\."):
        choose_classes({"my cats": 1, **counts}, NONE, "D", wanted=("my cats", "dogs"))
    with pytest.raises(DataError, match="the model has 'cats' and 'cows'; rename"):
        choose_classes(counts, NONE, "D", wanted=("cats", "cows"))
    assert choose_classes({"cats": 1, "dogs": 2}, NONE, "D", wanted=("a", "b")) == ("cats", "dogs")


def test_images_under_both_labels_are_no_lack_of_images() -> None:
    with pytest.raises(DataError) as caught:
        check_counts({"cats": 0, "dogs": 3}, 10, conflicts={"cats": ["a.jpg", "b.jpg"], "dogs": ["c.jpg"]})
    assert "'cats' has 0 and 'dogs' has 3: all 2 images of 'cats' have both labels, such as a.jpg" in str(caught.value)
    assert "; 1 other images of 'dogs' have both labels, such as c.jpg; decide" in str(caught.value)
    assert "add images" not in str(caught.value)
    with pytest.raises(DataError, match="add images"):
        check_counts({"cats": 3, "dogs": 30}, 10, conflicts={"cats": [], "dogs": ["c.jpg"]})
