"""Gauges of a service for Prometheus: whether the images that its models meet have changed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from twofold.serving.model_repository import ModelRepository

if TYPE_CHECKING:
    from prometheus_client import Metric

_TEXTS: Final = {
    "wealth": "Evidence of a change.",
    "limit": "Evidence that is an alarm.",
    "alarm": "1 after an alarm.",
}


class DriftGauges:
    """A collector of what the monitors of the models in use say. A model that is not watched has no gauges."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository

    def collect(self) -> "Iterator[Metric]":
        """The gauges as they are now."""
        from prometheus_client.core import GaugeMetricFamily

        images = GaugeMetricFamily("twofold_watch_images", "Images that were watched.", labels=("model",))
        gauges = {
            name: GaugeMetricFamily(f"twofold_watch_{name}", text, labels=("model", "measure"))
            for name, text in _TEXTS.items()
        }
        for model in filter(None, map(self._repository.get, self._repository.names)):
            if model.life is None:
                continue
            images.add_metric((model.name,), model.life.images)
            for reading in model.life.readings:
                values = {"wealth": reading.wealth, "limit": reading.limit, "alarm": reading.alarm is not None}
                for name, value in values.items():
                    gauges[name].add_metric((model.name, reading.name), float(value))
        yield from (images, *gauges.values())
