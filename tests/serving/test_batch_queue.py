"""The queue: what is computed together, what is refused, and what is given up."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from PIL import Image
from service_process import HeldPredictor

from twofold.bundle.model import Prediction
from twofold.serving.batch_queue import SLOW_PIXELS, BatchQueue, FullQueueError


class Recorder:
    """Predictions whose paths are the images themselves."""

    batch = 4

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def predict_batch(self, sources: list[bytes]) -> list[Prediction]:
        self.batches.append(list(sources))
        if b"broken" in sources:
            raise RuntimeError("the network broke")
        return [Prediction(source.decode("latin-1"), None, None, None, None, None) for source in sources]


def run(body: Callable[[BatchQueue], Coroutine[Any, Any, None]], threads: int = 1, capacity: int = 16) -> None:
    async def main() -> None:
        queue = BatchQueue(threads, capacity)
        queue.start()
        try:
            await asyncio.wait_for(body(queue), 20)
        finally:
            queue.stop()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_waits_while_a_batch_is_computed_is_the_next_batch() -> None:
    async def body(queue: BatchQueue) -> None:
        held = HeldPredictor()
        first = queue.submit(held, [b"0"])
        await until(held.called.is_set)
        later = queue.submit(held, [b"%d" % number for number in range(10)])
        assert queue.waiting == 10
        held.gate.set()
        results = await asyncio.gather(*(job.result for job in [*first, *later]))
        assert held.started == [1, 8, 1, 1]  # a part of a batch is no faster than its images
        assert all(result.prediction.label == "rings" for result in results)
        assert results[1].queue_seconds > 0

    run(body)


def test_waiting_images_are_shared_among_the_threads() -> None:
    async def body(queue: BatchQueue) -> None:
        held = HeldPredictor()
        queue.submit(held, [b"0"])
        queue.submit(held, [b"1"])
        await until(lambda: len(held.started) == 2)
        jobs = queue.submit(held, [b"2"] * 12)
        held.gate.set()
        await asyncio.gather(*(job.result for job in jobs))
        assert held.started == [1] * 14  # six for each thread, not a batch for the first and a wait for the second

    run(body, threads=2)


def test_a_batch_is_of_one_model_and_results_are_those_of_their_images() -> None:
    async def body(queue: BatchQueue) -> None:
        held, one, other = HeldPredictor(), Recorder(), Recorder()
        queue.submit(held, [b"hold"])
        await until(held.called.is_set)
        jobs = [
            job
            for model, names in ((one, [b"a", b"b", b"c", b"d"]), (other, [b"e"]), (one, [b"f", b"g", b"h"]))
            for job in queue.submit(model, names)
        ]
        held.gate.set()
        results = await asyncio.gather(*(job.result for job in jobs))
        assert [result.prediction.path for result in results] == ["a", "b", "c", "d", "e", "f", "g", "h"]
        assert (one.batches, other.batches) == ([[b"a", b"b", b"c", b"d"], [b"f"], [b"g"], [b"h"]], [[b"e"]])

    run(body)


def test_a_full_queue_takes_all_images_of_a_request_or_none() -> None:
    async def body(queue: BatchQueue) -> None:
        held = HeldPredictor()
        queue.submit(held, [b"0"])
        await until(held.called.is_set)
        queue.submit(held, [b"1", b"2", b"3"])
        with pytest.raises(FullQueueError) as refusal:
            queue.submit(held, [b"4", b"5"])
        assert refusal.value.seconds > 0
        assert queue.waiting == 3
        queue.submit(held, [b"4"])
        with pytest.raises(FullQueueError):
            queue.check_space()
        held.gate.set()

    run(body, capacity=4)


def test_a_request_that_is_given_up_frees_its_places_and_is_not_computed() -> None:
    async def body(queue: BatchQueue) -> None:
        held, recorder = HeldPredictor(), Recorder()
        running = queue.submit(held, [b"0"])
        await until(held.called.is_set)
        gone, staying = queue.submit(recorder, [b"1", b"2"]), queue.submit(recorder, [b"3"])
        queue.drop([*gone, *running])
        assert queue.waiting == 1
        held.gate.set()
        assert (await staying[0].result).prediction.path == "3"
        assert recorder.batches == [[b"3"]]
        assert all(job.result.cancelled() for job in [*gone, *running])

    run(body)


def test_an_error_reaches_the_images_of_its_batch_and_the_thread_goes_on() -> None:
    async def body(queue: BatchQueue) -> None:
        recorder = Recorder()
        (broken,) = queue.submit(recorder, [b"broken"])
        with pytest.raises(RuntimeError, match="the network broke"):
            await broken.result
        (sound,) = queue.submit(recorder, [b"sound"])
        assert (await sound.result).prediction.path == "sound"

    run(body)


def test_a_large_image_is_a_batch_of_its_own_and_holds_up_no_other() -> None:
    side = int(SLOW_PIXELS**0.5) + 1
    files = []
    for size in (8, side):
        file = io.BytesIO()
        Image.new("L", (size, size)).save(file, "PNG")
        files.append(file.getvalue())
    small, large = files

    async def body(queue: BatchQueue) -> None:
        held, recorder = HeldPredictor(), Recorder()
        queue.submit(held, [b"hold"])
        await until(held.called.is_set)
        jobs = queue.submit(recorder, [large, small, small, large])
        held.gate.set()
        await asyncio.gather(*(job.result for job in jobs))
        assert recorder.batches == [[small, small], [large], [large]]  # Recorder.batch of them, so they were one batch

    run(body)
