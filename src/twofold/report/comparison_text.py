"""A comparison of two models as text."""

from collections.abc import Sequence
from typing import Final

from twofold.evaluation import Comparison
from twofold.evaluation.metric_names import METRIC_NAMES
from twofold.report.layout import interval_text, short_name, table
from twofold.workflows.image_decisions import DecisionDifference

_MAX_ROWS: Final = 10  # differences.csv and the JSON result are complete
_MAX_PATH: Final = 40  # characters


def comparison_lines(comparison: Comparison, images: str) -> list[str]:
    """The differences with their 95% intervals, and the images that only one model gets right; `images` names the test set."""
    rows = [[METRIC_NAMES[name], interval_text(value, "+.4f")] for name, value in comparison.differences.items()]
    only = (
        f"correct with the second only: {comparison.only_second_correct}, with the first only: {comparison.only_first_correct} "
        f"(p = {comparison.p_value:.2g})"
    )
    return ["", f"second minus first, on {images}", *table(rows, left=2), only]


def difference_lines(differences: Sequence[DecisionDifference], positive: str) -> list[str]:
    """The images on which the models differ, with both probabilities of the positive class, the most different ones first.

    Nothing where there are none.
    """
    if not differences:
        return []
    shown, more = differences[:_MAX_ROWS], len(differences) - _MAX_ROWS
    rows = [
        [
            short_name(image.label),
            f"{image.first_probability:.4f}",
            f"{image.second_probability:.4f}",
            image.correct or "-",
        ]
        for image in shown
    ]
    columns = table([["class", "first", "second", "correct"], *rows])
    paths = ["image", *(_ending(image.path) for image in shown)]
    lines = [f"{line:<{max(map(len, columns))}}  {path}" for line, path in zip(columns, paths, strict=True)]
    lines += [f"and {more} more, listed with `out` or `json`"] if more > 0 else []
    return ["", f"images on which they differ: {len(differences)}; probability of {positive}", *lines]


def _ending(path: str) -> str:
    return path if len(path) <= _MAX_PATH else f"…{path[1 - _MAX_PATH :]}"
