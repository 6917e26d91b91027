"""Sources -> the range of their numbers, where some hold more than eight bits: to be found before any is embedded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from twofold.core.notes import Note
from twofold.core.parallel import available_processors, prefetch
from twofold.core.progress import Progress, no_progress
from twofold.data import DEEP_MODES, Extent, Ranges, choose_ranges, extent_of, may_be_deep, read_bytes, read_head
from twofold.embedding.content import Source

_MOST: Final = 1000  # images that are decoded for it
_AHEAD: Final = 2  # images in flight for each thread


def find_ranges(
    sources: Sequence[Source], *, threads: int | None = None, max_pixels: int, progress: Progress = no_progress
) -> tuple[Ranges, list[Note]]:
    """The ranges for a data set of these sources, and notes that tell them.

    Of each file the beginning is read, and whole are those that may hold more than eight bits, by chance where they are many.
    """
    deep = [source for source in sources if _may_be_deep(source)]
    if not deep:
        return Ranges(), []
    if len(deep) > _MOST:
        chosen = np.random.default_rng(0).choice(len(deep), _MOST, replace=False)
        deep = [deep[row] for row in np.sort(chosen).tolist()]
    threads = threads or available_processors()

    def measured() -> Iterator[Extent | None]:
        # Objects of PIL are loaded here, by one thread: others may hold the same.
        yield from (extent_of(source, max_pixels) for source in deep if not isinstance(source, Path | bytes))
        files = [source for source in deep if isinstance(source, Path | bytes)]
        yield from _in_threads(lambda source: _extent(source, max_pixels), files, threads)

    return choose_ranges([found for found in progress(measured(), len(deep), "depth") if found is not None])


def _in_threads(
    function: Callable[[Path | bytes], Extent | None], files: Sequence[Path | bytes], threads: int
) -> Iterator[Extent | None]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="depth")
    try:
        yield from prefetch(pool, function, files, _AHEAD * threads)
    finally:
        pool.shutdown(cancel_futures=True)


def _may_be_deep(source: Source) -> bool:
    if isinstance(source, np.ndarray):
        return source.dtype == np.uint16
    if isinstance(source, Image.Image):
        return source.mode in DEEP_MODES or source.mode in ("I", "F")
    return may_be_deep(source if isinstance(source, bytes) else read_head(source))


def _extent(source: Path | bytes, max_pixels: int) -> Extent | None:
    data = read_bytes(source) if isinstance(source, Path) else source
    return extent_of(data, max_pixels) if isinstance(data, bytes) else None
