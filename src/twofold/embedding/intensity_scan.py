"""The intensity range of sources with more than eight bits per channel, which must be known before any is embedded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from twofold.core.notes import Note
from twofold.core.parallel import available_processors, prefetch
from twofold.core.progress import Progress, no_progress
from twofold.data import (
    SIXTEEN_BIT_MODES,
    Extent,
    IntensityRanges,
    choose_ranges,
    extent_of,
    may_exceed_eight_bits,
    read_bytes,
    read_head,
)
from twofold.embedding.content import Source

_MAX_IMAGES: Final = 1000  # decoded at most
_IMAGES_IN_FLIGHT: Final = 2  # for each thread


def find_ranges(
    sources: Sequence[Source], *, threads: int | None = None, max_pixels: int, progress: Progress = no_progress
) -> tuple[IntensityRanges, list[Note]]:
    """The intensity ranges of a dataset, and notes that state them.

    The head of each file is read. Files that may have more than eight bits per channel are read in full, but at most a random
    sample of 1,000.
    """
    candidates = [source for source in sources if _may_exceed_eight_bits(source)]
    if not candidates:
        return IntensityRanges(), []
    if len(candidates) > _MAX_IMAGES:
        rows = np.random.default_rng(0).choice(len(candidates), _MAX_IMAGES, replace=False)
        candidates = [candidates[row] for row in np.sort(rows).tolist()]
    threads = threads or available_processors()

    def extents() -> Iterator[Extent | None]:
        # PIL images are loaded here, in one thread: the same object may be among the sources twice.
        yield from (extent_of(source, max_pixels) for source in candidates if not isinstance(source, Path | bytes))
        files = [source for source in candidates if isinstance(source, Path | bytes)]
        yield from _in_threads(lambda source: _extent(source, max_pixels), files, threads)

    return choose_ranges([extent for extent in progress(extents(), len(candidates), "depth") if extent is not None])


def _in_threads(
    function: Callable[[Path | bytes], Extent | None], files: Sequence[Path | bytes], threads: int
) -> Iterator[Extent | None]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="depth")
    try:
        yield from prefetch(pool, function, files, _IMAGES_IN_FLIGHT * threads)
    finally:
        pool.shutdown(cancel_futures=True)


def _may_exceed_eight_bits(source: Source) -> bool:
    if isinstance(source, np.ndarray):
        return source.dtype == np.uint16
    if isinstance(source, Image.Image):
        return source.mode in SIXTEEN_BIT_MODES or source.mode in ("I", "F")
    return may_exceed_eight_bits(source if isinstance(source, bytes) else read_head(source))


def _extent(source: Path | bytes, max_pixels: int) -> Extent | None:
    data = read_bytes(source) if isinstance(source, Path) else source
    return extent_of(data, max_pixels) if isinstance(data, bytes) else None
