"""What a monitor says of the images so far."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from twofold.decision.martingale import Martingale
from twofold.workflows.monitors import Monitor


@dataclass(frozen=True, slots=True)
class Reading:
    """What a monitor says: the wealth of its martingale now and at its highest, the limit, and the image, from 1, at which there
    was an alarm. `reference` and `recent` are medians of the training images and of the last images.
    """

    name: str
    wealth: float
    highest: float
    limit: float
    alarm: int | None
    reference: float
    recent: float | None

    def as_json(self) -> dict[str, Any]:
        """All but the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


def read_monitor(monitor: Monitor, martingale: Martingale, recent: Collection[float]) -> Reading:
    """The reading of a monitor with this martingale and these recent values."""
    median = float(np.median(list(recent))) if recent else None
    numbers = martingale.wealth, martingale.highest, monitor.limit, martingale.alarm
    return Reading(monitor.name, *numbers, monitor.urn.median, median)
