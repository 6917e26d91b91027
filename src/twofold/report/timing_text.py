"""The seconds of a result as text."""

from collections.abc import Mapping
from typing import Final

_MIN_SECONDS: Final = 0.05  # seconds


def timing_text(seconds: Mapping[str, float]) -> str:
    """One line: the steps of at least 0.05 s, the time outside all steps, and the total.

    >>> timing_text({"embed": 21.1, "fit": 1.34, "audit": 0.01, "total": 26.0})
    'embed 21.1 s, fit 1.3 s, other 3.5 s, total 26.0 s'
    """
    steps = {name: value for name, value in seconds.items() if name != "total"}
    steps["other"] = seconds["total"] - sum(steps.values())
    texts = [f"{name} {value:.1f} s" for name, value in steps.items() if value >= _MIN_SECONDS]
    return ", ".join([*texts, f"total {seconds['total']:.1f} s"])
