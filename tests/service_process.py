"""A service in a thread of this process, and requests to it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from typing import Any

import uvicorn

from twofold.bundle.model import Prediction
from twofold.core.options import ServiceOptions
from twofold.embedding import Source
from twofold.serving.connection_limits import limited_protocol
from twofold.serving.model_repository import ModelRepository, ServedModel
from twofold.serving.service import Service
from twofold.serving.service_app import build_service

LIMITS = ServiceOptions(max_megabytes=0.2, max_images=4)

Answer = tuple[int, dict[str, str], bytes]


class HeldPredictor:
    """Predictions that wait until they are let go. `started` has the sizes of the batches so far."""

    batch = 8

    def __init__(self, *, held: bool = True) -> None:
        self.started: list[int] = []
        self.gate = Event()
        self.called = Event()
        if not held:
            self.gate.set()

    def predict_batch(self, sources: list[Source], on_rows: object = None) -> list[Prediction]:
        self.started.append(len(sources))
        self.called.set()
        assert self.gate.wait(30)
        return [Prediction("", "rings", 0.9, None, 2.2, None) for _ in sources]


class OneModel:
    """A repository of one model, whose predictor is a stand-in."""

    names = ("drawn",)
    ready = True

    def __init__(self, model: ServedModel) -> None:
        self.model = model

    def get(self, name: str) -> ServedModel | None:
        return self.model if name == "drawn" else None

    def watch(self, on_reload: object, tell: object) -> None:
        pass

    def close(self) -> None:
        pass


class RunningService:
    """A service on a free port of this machine."""

    def __init__(self, service: Service, port: int, lines: list[str]) -> None:
        self.service, self.port, self.lines = service, port, lines

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}), **more)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return json.loads(self.ask(method, path, body, headers)[2])

    def predict(self, image: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, body = self.ask("POST", "/predict", image, {"content-type": "image/png", **headers})
        return status, json.loads(body)


@contextmanager
def running_service(
    repository: ModelRepository | OneModel,
    options: ServiceOptions,
    *,
    threads: int = 2,
    token: str | None = None,
    wrap: Callable[[Any], Any] = lambda app: app,
) -> Iterator[RunningService]:
    """A service that answers requests; its repository has to be loaded and warm."""
    lines: list[str] = []
    service = Service(repository, options, threads - 1)  # type: ignore[arg-type]
    app = build_service(service, token, lines.append)
    http = limited_protocol(options.deadline)
    config = uvicorn.Config(wrap(app), port=0, http=http, log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield RunningService(service, server.servers[0].sockets[0].getsockname()[1], lines)
    finally:
        server.should_exit = True
        thread.join()
