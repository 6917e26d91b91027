"""Files -> observations, in order, in one pass and in bounded memory: read, look up, decode, embed, keep."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import Refusal, Square, look, open_picture, read_bytes
from twofold.embedding.engine import BATCH, Engine, Lane
from twofold.embedding.observation import Facts, Observation
from twofold.embedding.store import Store

T = TypeVar("T")
R = TypeVar("R")
Source = Path | bytes | Image.Image | NDArray[np.generic]

_AHEAD = 4  # tasks in flight for each thread: enough to keep all busy, little enough to hold few pictures
_PORTION = 64  # most observations that travel together


@dataclass(frozen=True, slots=True)
class _Unseen:
    """A picture that has been read and hashed, and still has to be looked at."""

    source: bytes | Image.Image | NDArray[np.generic]
    sha256: str
    bytes: int


@dataclass(slots=True)
class _Portion:
    """A stretch of the stream: what is known already, and at most one batch of what is not."""

    entries: list[Observation | _Unseen] = field(default_factory=list)
    unseen: int = 0

    def full(self) -> bool:
        return self.unseen == BATCH or len(self.entries) == _PORTION


def observe(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = 50_000_000
) -> Generator[Observation]:
    """One observation for every source, in the order given.

    Whoever stops taking them leaves nothing running; what was seen until then is kept in `store`.
    """
    lanes: SimpleQueue[Lane] = SimpleQueue()
    backbone = engine.backbone

    def seen(portion: _Portion) -> list[Observation]:
        if portion.unseen == 0:
            return [entry for entry in portion.entries if isinstance(entry, Observation)]
        lane = lanes.get()
        try:
            return _look_and_embed(portion.entries, lane, backbone.square, max_pixels)
        finally:
            lanes.put(lane)

    def started(portions: Iterator[_Portion]) -> Iterator[_Portion]:
        idle = True
        for portion in portions:
            if portion.unseen and idle:
                for lane in engine.lanes:
                    lanes.put(lane)
                idle = False
            yield portion

    pool = ThreadPoolExecutor(engine.threads, thread_name_prefix="observe")
    try:
        read = _ahead(pool, _read, sources, BATCH * engine.threads)
        for observations, portion in _ahead(
            pool, lambda p: (seen(p), p), started(_portions(read, store, backbone.identity)), _AHEAD
        ):
            if store is not None and portion.unseen:
                store.put(
                    (o for o, e in zip(observations, portion.entries, strict=True) if isinstance(e, _Unseen)),
                    backbone.identity,
                )
            yield from observations
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """`map` that runs at most `depth` items ahead of whoever takes the results."""
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _read(source: Source) -> _Unseen | Observation:
    if isinstance(source, Path):
        data = read_bytes(source)
        if isinstance(data, Refusal):
            return Observation(None, None, data)
        source = data
    if isinstance(source, bytes):
        return _Unseen(source, hashlib.sha256(source).hexdigest(), len(source))
    # Not its own bytes: those of a PIL image may still have to be read, and do not say which way is up.
    pixels = open_picture(source)
    if isinstance(pixels, Refusal):
        return Observation(None, None, pixels)
    kind = f"{source.mode} {source.format}" if isinstance(source, Image.Image) else str(source.dtype)
    return _Unseen(
        source, hashlib.sha256(f"{kind} {pixels.shape} ".encode() + pixels.tobytes()).hexdigest(), pixels.nbytes
    )


def _portions(read: Iterator[_Unseen | Observation], store: Store | None, backbone: str) -> Iterator[_Portion]:
    portion = _Portion()
    for entry in read:
        known = store.get(entry.sha256, backbone) if store is not None and isinstance(entry, _Unseen) else None
        portion.entries.append(known or entry)
        portion.unseen += isinstance(portion.entries[-1], _Unseen)
        if portion.full():
            yield portion
            portion = _Portion()
    if portion.entries:
        yield portion


def _look_and_embed(
    entries: list[Observation | _Unseen], lane: Lane, square: Square, max_pixels: int
) -> list[Observation]:
    done: list[Observation | Facts] = []
    count = 0
    for entry in entries:
        if isinstance(entry, Observation):
            done.append(entry)
            continue
        seen = look(entry.source, square, max_pixels=max_pixels)
        if isinstance(seen, Refusal):
            done.append(Observation(None, None, seen))
            continue
        lane.squares[count] = seen.square
        count += 1
        pixels = hashlib.sha256(f"{seen.width}x{seen.height} ".encode() + seen.square.tobytes()).hexdigest()
        done.append(Facts(entry.sha256, pixels, seen.width, seen.height, seen.format, entry.bytes))
    vectors = iter(lane.run(count)) if count else iter(())
    return [entry if isinstance(entry, Observation) else Observation(entry, next(vectors), None) for entry in done]
