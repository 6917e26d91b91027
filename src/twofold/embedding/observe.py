"""Files -> observations, in order, in one pass and in bounded memory: read, look up, decode, embed, keep."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.data import Look, Refusal, Square
from twofold.embedding.ahead import ahead
from twofold.embedding.content import Content, Source, look_at, read_content
from twofold.embedding.engine import BATCH, Engine, Lane
from twofold.embedding.observation import Facts, Observation
from twofold.embedding.store import Store

_AHEAD = 4  # tasks in flight for each thread: enough to keep all busy, little enough to hold few pictures
_PORTION = 64  # most observations that travel together


@dataclass(slots=True)
class _Portion:
    """A stretch of the stream: what is known already, and at most one batch of what is not."""

    entries: list[Observation | Content] = field(default_factory=list)
    unseen: int = 0

    def full(self) -> bool:
        return self.unseen == BATCH or len(self.entries) == _PORTION


def observe(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = 50_000_000
) -> Generator[Observation]:
    """One observation for every source, in the order given.

    Whoever stops taking them leaves nothing running; what was seen until then is kept in `store`.
    """

    def seen(portion: _Portion) -> list[Observation]:
        if portion.unseen == 0:
            return [entry for entry in portion.entries if isinstance(entry, Observation)]
        with engine.lane() as lane:
            return _look_and_embed(portion.entries, lane, engine.backbone.square, max_pixels)

    def started(portions: Iterator[_Portion]) -> Iterator[_Portion]:
        for portion in portions:
            if portion.unseen:
                engine.lanes  # noqa: B018  # made in this thread, at the first picture that is not known
            yield portion

    pool = ThreadPoolExecutor(engine.threads, thread_name_prefix="observe")
    try:
        read = ahead(pool, read_content, sources, BATCH * engine.threads)
        for observations, portion in ahead(
            pool, lambda p: (seen(p), p), started(_portions(read, store, engine, max_pixels)), _AHEAD
        ):
            if store is not None and portion.unseen:
                store.put(
                    (o for o, e in zip(observations, portion.entries, strict=True) if isinstance(e, Content)),
                    engine.identity,
                )
            yield from observations
    finally:
        pool.shutdown(cancel_futures=True)


def _portions(
    read: Iterator[Content | Refusal], store: Store | None, engine: Engine, max_pixels: int
) -> Iterator[_Portion]:
    portion = _Portion()
    for entry in read:
        portion.entries.append(_known(entry, store, engine.identity, max_pixels))
        portion.unseen += isinstance(portion.entries[-1], Content)
        if portion.full():
            yield portion
            portion = _Portion()
    if portion.entries:
        yield portion


def _known(entry: Content | Refusal, store: Store | None, backbone: str, max_pixels: int) -> Observation | Content:
    if isinstance(entry, Refusal):
        return Observation(None, None, None, entry)
    kept = store.get(entry.sha256, backbone) if store is not None else None
    known = kept is not None and kept.facts is not None and kept.facts.width * kept.facts.height <= max_pixels
    return kept if kept is not None and known else entry  # a picture that is too large now is refused anew


def _look_and_embed(
    entries: list[Observation | Content], lane: Lane, square: Square, max_pixels: int
) -> list[Observation]:
    done: list[Observation | tuple[Facts, Look]] = []
    count = 0
    for entry in entries:
        if isinstance(entry, Observation):
            done.append(entry)
            continue
        seen = look_at(entry, square, max_pixels=max_pixels)
        if isinstance(seen, Refusal):
            done.append(Observation(None, None, None, seen))
            continue
        lane.squares[count] = seen[1].square
        count += 1
        done.append(seen)
    vectors = iter(lane.run(count)) if count else iter(())
    return [entry if isinstance(entry, Observation) else _observation(*entry, next(vectors)) for entry in done]


def _observation(facts: Facts, seen: Look, vector: NDArray[np.float32]) -> Observation:
    if np.isfinite(vector).all():
        return Observation(facts, seen.thumbnail, vector, None)
    sentence = "The network gives numbers for it that are not finite: look at the image, and at the network."
    return Observation(None, None, None, Refusal("not-finite", sentence))
