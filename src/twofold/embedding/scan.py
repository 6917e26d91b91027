"""Files -> observations without vectors: read and decoded, and seen by no network."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twofold.core.parallel import available_processors, prefetch
from twofold.data import NO_RANGES, Preprocessing, Ranges, ReadError
from twofold.embedding.content import Source, preprocess_content, read_content
from twofold.embedding.feature_table import FeatureRow

_AHEAD = 8  # pictures in flight for each thread
_SQUARE = Preprocessing(224, "squash", "bilinear")  # whose pixels are hashed
_NOTHING = np.empty(0, np.float32)


def scan(
    sources: Iterable[Source],
    *,
    threads: int | None = None,
    max_pixels: int = 50_000_000,
    ranges: Ranges = NO_RANGES,
) -> Generator[FeatureRow]:
    """One observation for every source, in the order given, whose vector is empty."""
    threads = threads or available_processors()
    preprocessing = _SQUARE.ranged(ranges)

    def seen(source: Source) -> FeatureRow:
        content = read_content(source)
        found = (
            content
            if isinstance(content, ReadError)
            else preprocess_content(content, preprocessing, max_pixels=max_pixels)
        )
        if isinstance(found, ReadError):
            return FeatureRow(None, None, None, found)
        return FeatureRow(found[0], found[1].thumbnail, _NOTHING, None)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="examine")
    try:
        yield from prefetch(pool, seen, sources, _AHEAD * threads)
    finally:
        pool.shutdown(cancel_futures=True)
