"""Gauges of a service for Prometheus: whether the images that its models meet have changed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from twofold.bundle.model import Prediction
from twofold.bundle.storage import Bundle
from twofold.core.errors import BundleError
from twofold.decision.martingale import Martingale
from twofold.workflows.monitors import Monitor, monitors_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MEASURES: Final = ("familiarity", "logit")  # of a prediction; the traits of its image are gone
_REMEMBERED: Final = 10_000
_MODEL: Final = ("model", "measure")


@dataclass(slots=True, eq=False)
class _ServedLife:
    """The martingales of one version of a model, and the scores of the last images, of which each counts once."""

    version: str
    monitors: tuple[Monitor, ...]
    martingales: dict[str, Martingale]
    scores: dict[tuple[float, float | None], None] = field(default_factory=dict)


class DriftGauges:
    """The wealth of the martingales on the predictions of each model, and whether there was an alarm.

    A life begins with `begin`, when a service starts or a bundle is replaced.
    """

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Gauge

        self._wealth = Gauge("twofold_watch_wealth", "Evidence of a change.", _MODEL, registry=registry)
        self._limit = Gauge("twofold_watch_limit", "Evidence that is an alarm.", _MODEL, registry=registry)
        self._alarm = Gauge("twofold_watch_alarm", "1 after an alarm.", _MODEL, registry=registry)
        self._lives: dict[str, _ServedLife] = {}

    def begin(self, name: str, version: str, bundle: Bundle) -> None:
        """Begins the life of a model. Without its scores, as in a bundle for handing on, it is not watched."""
        try:
            monitors, _ = monitors_of(bundle, bundle.scores())
        except BundleError:
            monitors = ()
        watched = tuple(monitor for monitor in monitors if monitor.name in _MEASURES)
        martingales = {each.name: Martingale.begin(each.urn, each.bets) for each in watched}
        for measure in _MEASURES:
            for gauge in (self._wealth, self._limit, self._alarm):
                gauge.remove_by_labels({"model": name, "measure": measure})
        self._lives[name] = life = _ServedLife(version, watched, martingales)
        self._show(name, life)

    def count(self, name: str, version: str, predictions: Iterable[Prediction]) -> None:
        """Bets on predictions of a model, in their order. Those of a version that was replaced are left out."""
        life = self._lives.get(name)
        if life is None or life.version != version or not life.monitors:
            return
        new = [each for each in predictions if each.logit is not None and _is_new(life, each)]
        if not new:
            return
        for monitor in life.monitors:
            values = np.array([getattr(each, monitor.name) for each in new], np.float64)
            ties = np.array([_tie_of_scores(each, monitor.name) for each in new])
            martingale = life.martingales[monitor.name]
            life.martingales[monitor.name] = martingale.follow(values, ties, monitor.urn, monitor.bets, monitor.limit)
        if self._lives[name] is life:  # a bundle may have been replaced meanwhile
            self._show(name, life)

    def _show(self, name: str, life: _ServedLife) -> None:
        for monitor in life.monitors:
            martingale = life.martingales[monitor.name]
            self._wealth.labels(name, monitor.name).set(martingale.wealth)
            self._limit.labels(name, monitor.name).set(monitor.limit)
            self._alarm.labels(name, monitor.name).set(martingale.alarm is not None)


def _is_new(life: _ServedLife, prediction: Prediction) -> bool:
    """Whether no image with the same scores was among the last ones; it is now."""
    key = (prediction.logit or 0.0, prediction.familiarity)
    if key in life.scores:
        return False
    life.scores[key] = None
    if len(life.scores) > _REMEMBERED:
        del life.scores[next(iter(life.scores))]
    return True


def _tie_of_scores(prediction: Prediction, name: str) -> float:
    """A number in [0, 1), always the same for the same scores."""
    text = f"{prediction.logit!r} {prediction.familiarity!r} {name}"
    return float(int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48)
