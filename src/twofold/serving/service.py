"""The state of a service: its models, its queue and its limits; and the way of every image through them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twofold.core.errors import TwofoldError
from twofold.core.options import ServiceOptions
from twofold.embedding import Source
from twofold.serving.batch_queue import BatchQueue, FullQueueError, JobResult
from twofold.serving.model_repository import ModelRepository, Reload, ServedModel
from twofold.serving.request_errors import RequestError
from twofold.serving.request_images import BodyMemory
from twofold.serving.served_lives import Tell
from twofold.serving.service_metrics import ServiceMetrics

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

_BODY_BYTES: Final = 512_000_000  # of all requests together
_EXPLANATIONS: Final = 4  # that wait or are computed


class Service:
    """Models behind a queue, whose networks have so many inference `requests`.

    `start` and `stop` are called in the event loop that answers requests.
    """

    def __init__(self, repository: ModelRepository, options: ServiceOptions, requests: int) -> None:
        self.repository, self.options = repository, options
        self.queue = BatchQueue(requests + 1, options.queue)  # one decodes while the others compute
        self.memory = BodyMemory(max(_BODY_BYTES, 2 * options.max_bytes))
        self.metrics = ServiceMetrics(self.queue, repository)
        self.draining = False
        self._explaining = 0
        self._receiving = 0
        self._explain_thread = ThreadPoolExecutor(1, thread_name_prefix="explain")

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self.repository.ready and not self.draining

    def start(self, on_reload: Callable[[Reload], None], tell: Tell) -> None:
        """Starts the threads. The networks have to be compiled."""
        self.queue.start()
        self.repository.watch(on_reload, tell)

    def stop(self) -> None:
        """Ends the threads."""
        self.queue.stop()
        self.repository.close()  # which keeps what the queue has watched
        self._explain_thread.shutdown(cancel_futures=True)

    def model(self, name: str | None) -> ServedModel:
        """The model of this name; without a name the only one. Raises RequestError."""
        names = self.repository.names
        if name is None and len(names) > 1:
            raise RequestError(400, "no-model", f"Name a model in the address, as /models/{names[0]}/predict.")
        model = self.repository.get(names[0] if name is None else name)
        if model is None:
            raise RequestError(404, "unknown-model", f"There is no model of this name; there are {', '.join(names)}.")
        if not self.repository.ready:
            raise RequestError(503, "not-ready", "The networks are being compiled: try again.", 1)
        return model

    def refusal(self) -> RequestError | None:
        """The error with the status 429 where no further image can wait, else None.

        A request whose body is arriving has a place. Such requests have half of all places at most, so that slow clients do not
        stop the others.
        """
        try:
            self.queue.check_space(1 + min(self._receiving, self.queue.capacity // 2))
        except FullQueueError as error:
            return _busy(error)
        return None

    async def receive(self, body: Awaitable[T]) -> T:
        """What is read of a body. Raises RequestError where that takes longer than a request may take."""
        self._receiving += 1
        try:
            async with asyncio.timeout(self.options.deadline):
                return await body
        except TimeoutError:
            message = f"The body did not arrive within {self.options.deadline:g} seconds."
            raise RequestError(408, "slow-body", message, closes=True) from None
        finally:
            self._receiving -= 1

    async def predict(self, request: "Request", model: ServedModel, sources: Sequence[Source]) -> list[JobResult]:
        """The results of the images, in their order.

        Raises RequestError where there is no place in the queue, where they are not computed in time, where the client is gone,
        and where the network fails.
        """
        if len(sources) > self.queue.capacity:
            message = f"At most {self.queue.capacity} images can wait: send fewer in a request."
            raise RequestError(413, "too-many-images", message)
        try:
            jobs = self.queue.submit(model, sources)
        except FullQueueError as error:
            raise _busy(error) from None
        try:
            results = await self._wait(request, asyncio.gather(*(job.result for job in jobs)))
        except TwofoldError as error:
            raise RequestError(500, "model-failed", str(error)) from error
        finally:
            self.queue.drop(jobs)
        self.metrics.count(model, results)
        return results

    async def explain(self, request: "Request", work: Callable[[], T]) -> T:
        """The result of an explanation, which a thread of its own computes. Raises RequestError as `predict` does."""
        if self._explaining >= _EXPLANATIONS:
            raise RequestError(429, "busy", "Other images are being explained: try again.", 1)
        self._explaining += 1
        loop = asyncio.get_running_loop()
        job = self._explain_thread.submit(work)
        job.add_done_callback(
            lambda _: loop.call_soon_threadsafe(self._explained)
        )  # done also if nobody waits any more
        return await self._wait(request, asyncio.wrap_future(job))

    def _explained(self) -> None:
        self._explaining -= 1

    async def _wait(self, request: "Request", result: "asyncio.Future[T]") -> T:
        """The result, if it comes before the deadline and before the client goes away."""
        gone = asyncio.ensure_future(_disconnection(request))
        result.add_done_callback(_retrieve)
        try:
            futures: list[asyncio.Future[Any]] = [result, gone]
            await asyncio.wait(futures, timeout=self.options.deadline, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            if gone.done():
                raise RequestError(499, "disconnected", "The client is gone.")
            message = f"There was no result within {self.options.deadline:g} seconds."
            raise RequestError(504, "deadline", message)
        finally:
            gone.cancel()
            result.cancel()


def _retrieve(result: "asyncio.Future[T]") -> None:
    """Takes note of an error that nobody waits for any more, or asyncio would report it."""
    if not result.cancelled():
        result.exception()


async def _disconnection(request: "Request") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _busy(error: FullQueueError) -> RequestError:
    # The connection stays: what else comes of the body is thrown away, which costs less than a new connection.
    return RequestError(429, "busy", "The queue is full: try again later.", max(1, round(error.seconds)))
