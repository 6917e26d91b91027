"""The two classes: their names, the positive one, and checks of their numbers of images."""

from collections.abc import Mapping, Sequence
from typing import Final

from twofold.core.errors import DataError, UsageError
from twofold.core.hints import nearest
from twofold.core.notes import count_text
from twofold.core.options import DataOptions

_MAX_CLASSES: Final = 20  # in a message
_MAX_ERRORS: Final = 5


def choose_classes(
    counts: Mapping[str, int], options: DataOptions, data: str, unlabelled: int = 0, model_classes: Sequence[str] = ()
) -> tuple[str, str]:
    """The two classes of DATA in alphabetical order.

    `counts` has the number of files of each class in DATA, `unlabelled` the number without a class; `model_classes` are the
    classes of the model to be tested, if there is one. Raises DataError where there are not two classes with files.
    """
    if _is_subset(counts, options, model_classes):
        first, second = sorted(model_classes)
        return first, second
    if options.classes is None and len(counts) != 2:
        raise DataError(_wrong_count_text(counts, data, unlabelled, model_classes))
    first, second = sorted(options.classes or counts)
    for name in (first, second):
        if name not in counts:
            raise DataError(
                f"{data} has no class {name!r}{nearest(name, counts)}; it has {list_counts(counts) or 'none'}."
            )
        if not counts[name]:
            raise DataError(f"The class {name!r} of {data} has no files: add images.")
    return first, second


def _is_subset(counts: Mapping[str, int], options: DataOptions, model_classes: Sequence[str]) -> bool:
    """Whether the files can test a model: all are of its classes, and at least one class has files."""
    names = [name for name in counts if options.classes is None or name in options.classes]
    return set(options.classes or model_classes) == set(model_classes) >= set(names) and any(
        counts[name] for name in names
    )


def choose_positive(classes: tuple[str, str], positive: str | None) -> str:
    """The positive class: `positive`, or the second one where that is None."""
    if positive is not None and positive not in classes:
        raise UsageError(f"`positive` must be {classes[0]!r} or {classes[1]!r}, got {positive!r}.")
    return positive or classes[1]


def check_counts(
    counts: Mapping[str, int],
    minimum: int,
    *,
    errors: Sequence[str] = (),
    conflicts: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raises DataError where a class has fewer usable images than `minimum`.

    `errors` say why other files are not usable; `conflicts` has the paths of each class that also have the other label.
    """
    small_classes = [name for name, count in counts.items() if count < minimum]
    if small_classes:
        numbers = " and ".join(f"{name!r} has {counts[name]}" for name in small_classes)
        advice = _advice({name: (conflicts or {}).get(name, ()) for name in small_classes}, counts)
        unusable = (
            f" Not usable ({count_text(len(errors), 'file')}): {' '.join(errors[:_MAX_ERRORS])}" if errors else ""
        )
        raise DataError(f"At least {minimum} usable images per class are needed, {numbers}: {advice}.{unusable}")


def check_same_classes(train: Sequence[str], test: Sequence[str]) -> None:
    """Raises DataError where the test set has other classes than the model."""
    if sorted(train) != sorted(test):
        raise DataError(
            f"The model has the classes {' and '.join(map(repr, train))}, these images have {' and '.join(map(repr, test))}: "
            "rename the folders or labels, or choose two with `classes`."
        )


def list_counts(counts: Mapping[str, int]) -> str:
    """The classes with their numbers of files, the largest first."""
    largest_first = sorted(counts, key=lambda name: (-counts[name], name))
    more = f" and {len(largest_first) - _MAX_CLASSES} more" if len(largest_first) > _MAX_CLASSES else ""
    return ", ".join(f"{name} ({count_text(counts[name], 'file')})" for name in largest_first[:_MAX_CLASSES]) + more


def _advice(conflicts: Mapping[str, Sequence[str]], counts: Mapping[str, int]) -> str:
    """The advice for a class with too few images. Images with conflicting labels count for neither class, so they come first."""
    sentences = []
    for name, paths in conflicts.items():
        if paths:
            images = count_text(len(paths), "other image") if counts[name] else f"all {count_text(len(paths), 'image')}"
            verb = "has" if len(paths) == 1 else "have"
            sentences.append(f"{images} of {name!r} {verb} both labels, such as {paths[0]}")
    return f"{'; '.join(sentences)}; decide which label is correct" if sentences else "add images"


def _wrong_count_text(counts: Mapping[str, int], data: str, unlabelled: int, model_classes: Sequence[str]) -> str:
    if len(counts) < 2:
        files = count_text(unlabelled, "file")
        names = f"only {list_counts(counts)}" if counts else f"none, and {files} without a class"
        return (
            f"{data} must have two classes, got {names}: make one sub-folder per class, or give `label_pattern` if the class "
            "is in the file name."
        )
    sentence = f"{data} must have two classes, got {len(counts)}, {list_counts(counts)}"
    if not counts.keys() >= set(model_classes):
        return f"{sentence}: the model has {' and '.join(map(repr, model_classes))}; rename the folders or labels."
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:2]
    return f"{sentence}: choose two, as in `classes={tuple(sorted(model_classes or largest))!r}`."
