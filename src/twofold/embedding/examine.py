"""Files -> observations without vectors: read and decoded, and seen by no network."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twofold.data import NO_RANGES, Ranges, Refusal, Square
from twofold.embedding.ahead import ahead
from twofold.embedding.content import Source, look_at, read_content
from twofold.embedding.observation import Observation
from twofold.embedding.processors import available_processors

_AHEAD = 8  # pictures in flight for each thread
_SQUARE = Square(224, "stretch", "bilinear")  # whose pixels are hashed
_NOTHING = np.empty(0, np.float32)


def examine(
    sources: Iterable[Source],
    *,
    threads: int | None = None,
    max_pixels: int = 50_000_000,
    ranges: Ranges = NO_RANGES,
) -> Generator[Observation]:
    """One observation for every source, in the order given, whose vector is empty."""
    threads = threads or available_processors()
    square = _SQUARE.ranged(ranges)

    def seen(source: Source) -> Observation:
        content = read_content(source)
        found = content if isinstance(content, Refusal) else look_at(content, square, max_pixels=max_pixels)
        if isinstance(found, Refusal):
            return Observation(None, None, None, found)
        return Observation(found[0], found[1].thumbnail, _NOTHING, None)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="examine")
    try:
        yield from ahead(pool, seen, sources, _AHEAD * threads)
    finally:
        pool.shutdown(cancel_futures=True)
