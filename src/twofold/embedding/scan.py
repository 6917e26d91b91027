"""Sources to feature rows without features: read and decoded, without a network."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from twofold.core.parallel import available_processors, prefetch
from twofold.data import MAX_PIXELS, NO_RANGES, IntensityRanges, Preprocessing, ReadError
from twofold.embedding.content import Source, preprocess_content, read_content
from twofold.embedding.feature_table import FeatureRow

_IMAGES_IN_FLIGHT: Final = 8  # for each thread
_PREPROCESSING: Final = Preprocessing(224, "squash", "bilinear")  # its pixels are hashed
_NO_FEATURES: Final = np.empty(0, np.float32)


def scan(
    sources: Iterable[Source],
    *,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    ranges: IntensityRanges = NO_RANGES,
) -> Generator[FeatureRow]:
    """One feature row for every source, in the order given; its features are an empty array."""
    threads = threads or available_processors()
    preprocessing = _PREPROCESSING.with_intensity_ranges(ranges)

    def scan_source(source: Source) -> FeatureRow:
        content = read_content(source)
        if isinstance(content, ReadError):
            return FeatureRow(None, None, None, content)
        preprocessed = preprocess_content(content, preprocessing, max_pixels=max_pixels)
        if isinstance(preprocessed, ReadError):
            return FeatureRow(None, None, None, preprocessed)
        metadata, image = preprocessed
        return FeatureRow(metadata, image.thumbnail, _NO_FEATURES, None)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="scan")
    try:
        yield from prefetch(pool, scan_source, sources, _IMAGES_IN_FLIGHT * threads)
    finally:
        pool.shutdown(cancel_futures=True)
