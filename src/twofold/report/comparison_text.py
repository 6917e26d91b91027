"""A comparison of two models as text."""

from twofold.evaluation import Comparison
from twofold.report.layout import interval_text, table
from twofold.report.metric_names import METRIC_NAMES


def comparison_lines(comparison: Comparison, images: str) -> list[str]:
    """The differences with their 95% intervals, and the images that only one model gets right; `images` names the test set."""
    rows = [[METRIC_NAMES[name], interval_text(value, "+.4f")] for name, value in comparison.differences.items()]
    only = (
        f"correct with the second only: {comparison.only_second_correct}, with the first only: {comparison.only_first_correct} "
        f"(p = {comparison.p_value:.2g})"
    )
    return ["", f"second minus first, on {images}", *table(rows, left=2), only]
