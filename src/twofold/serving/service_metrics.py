"""The metrics of a service, for Prometheus."""

from collections.abc import Sequence
from typing import Final

from twofold.serving.batch_queue import BatchQueue, JobResult
from twofold.serving.drift_gauges import DriftGauges
from twofold.serving.model_repository import ModelRepository, Reload, ServedModel

_SECONDS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServiceMetrics:
    """Counters and gauges of one service; `text` is what Prometheus reads."""

    def __init__(self, queue: BatchQueue, repository: ModelRepository) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        self._requests = Counter("twofold_requests", "Answered requests.", ("route", "status"), registry=registry)
        self._seconds = Histogram(
            "twofold_request_seconds", "Time to answer a request.", ("route",), buckets=_SECONDS, registry=registry
        )
        self._images = Counter(
            "twofold_images", "Predicted images by label or reason.", ("model", "outcome"), registry=registry
        )
        self._queue_seconds = Histogram(
            "twofold_queue_seconds", "Time that an image waits.", ("model",), buckets=_SECONDS, registry=registry
        )
        self._compute_seconds = Histogram(
            "twofold_compute_seconds", "Time of an image's batch.", ("model",), buckets=_SECONDS, registry=registry
        )
        self._reloads = Counter(
            "twofold_reloads", "Replaced bundles; error: the old one stays.", ("model", "result"), registry=registry
        )
        self._models = Gauge("twofold_model_info", "The models in use.", ("model", "version"), registry=registry)
        Gauge("twofold_queue_images", "Images that wait.", registry=registry).set_function(lambda: queue.waiting)
        Gauge("twofold_queue_capacity", "Images that can wait.", registry=registry).set(queue.capacity)
        Gauge("twofold_ready", "1 when the networks are compiled.", registry=registry).set_function(
            lambda: float(repository.ready)
        )
        registry.register(DriftGauges(repository))
        for model in filter(None, map(repository.get, repository.names)):
            self._models.labels(model.name, model.version).set(1)
            for result in ("done", "error"):
                self._reloads.labels(model.name, result)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count(self, model: ServedModel, results: Sequence[JobResult]) -> None:
        """Counts predicted images."""
        for result in results:
            outcome = result.prediction.label or result.prediction.reason or ""
            self._images.labels(model.name, outcome).inc()
            self._queue_seconds.labels(model.name).observe(result.queue_seconds)
            self._compute_seconds.labels(model.name).observe(result.compute_seconds)

    def reload(self, reload: Reload) -> None:
        """Counts the replacement of a bundle."""
        self._reloads.labels(reload.name, "error" if reload.model is None else "done").inc()
        if reload.model is not None:
            self._models.remove_by_labels({"model": reload.name})
            self._models.labels(reload.name, reload.model.version).set(1)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
