"""Sources to feature rows in one pass, in order and in bounded memory: read, look up, decode, embed, store."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twofold.core.parallel import prefetch
from twofold.data import MAX_PIXELS, PreprocessedImage, ReadError
from twofold.embedding.content import Content, Source, preprocess_content, read_content
from twofold.embedding.engine import BATCH, Engine
from twofold.embedding.feature_table import FeatureRow, Metadata
from twofold.embedding.store import Store

T = TypeVar("T")
R = TypeVar("R")

_CHUNKS_IN_FLIGHT = 4  # enough to keep all threads busy, few enough to hold few images
_CHUNK_ROWS = 64  # at most


@dataclass(slots=True)
class _Chunk:
    """A chunk of the stream: finished rows, and at most `limit` images that have to be embedded."""

    limit: int
    entries: list[FeatureRow | Content] = field(default_factory=list)
    pending: int = 0  # images to embed

    def full(self) -> bool:
        return self.pending == self.limit or len(self.entries) == _CHUNK_ROWS


def embed(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = MAX_PIXELS
) -> Generator[FeatureRow]:
    """One feature row for every source, in the order given; see `embed_chunks`."""
    with closing(embed_chunks(sources, engine, store, max_pixels=max_pixels)) as chunks:
        for rows in chunks:
            yield from rows


def embed_chunks(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = MAX_PIXELS
) -> Generator[list[FeatureRow]]:
    """The feature rows of all sources, in the order given, up to 64 at a time, as soon as they are available.

    Closing the generator early stops all threads. Rows computed until then stay in `store`.
    """
    with closing(embed_counted(sources, engine, store, max_pixels=max_pixels)) as chunks:
        for rows, _ in chunks:
            yield rows


def embed_counted(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = MAX_PIXELS
) -> Generator[tuple[list[FeatureRow], int]]:
    """The same rows, with the number of those that were not in the store."""

    def compute(chunk: _Chunk) -> tuple[list[FeatureRow], _Chunk]:
        if chunk.pending == 0:
            return [entry for entry in chunk.entries if isinstance(entry, FeatureRow)], chunk
        return _embed_pending(chunk.entries, engine, max_pixels), chunk

    def with_engine_started(chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
        for number, chunk in enumerate(chunks):
            if chunk.pending:
                # In this thread: see `Engine.start`. The caller of a stream of one image waits for it.
                engine.start(single=number == 0 and len(chunk.entries) == 1)
            yield chunk

    iterator = iter(sources)
    head = list(islice(iterator, 2))
    pool = ThreadPoolExecutor(engine.threads, thread_name_prefix="embed")

    def run(function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
        # A single image is embedded in the caller's thread: new threads would cost it a third of the network's time.
        return prefetch(pool, function, items, depth) if len(head) > 1 else map(function, items)

    try:
        contents = run(read_content, chain(head, iterator), BATCH * engine.threads)
        chunks = with_engine_started(_chunks(contents, store, engine, max_pixels))
        for rows, chunk in run(compute, chunks, _CHUNKS_IN_FLIGHT):
            if store is not None and chunk.pending:
                pairs = zip(rows, chunk.entries, strict=True)
                store.put((row for row, entry in pairs if isinstance(entry, Content)), engine.identity)
            yield rows, chunk.pending
    finally:
        pool.shutdown(cancel_futures=True)


def embed_batch(sources: Sequence[Source], engine: Engine, *, max_pixels: int = MAX_PIXELS) -> list[FeatureRow]:
    """The feature rows of a few sources, in their order, computed in the thread of the caller. The engine must have started."""
    contents = map(read_content, sources)
    entries = [FeatureRow(None, None, None, each) if isinstance(each, ReadError) else each for each in contents]
    rows, remaining = list[FeatureRow](), iter(entries)
    for count in engine.split(len(entries)):
        rows += _embed_pending(list(islice(remaining, count)), engine, max_pixels)
    return rows


def _chunks(
    contents: Iterator[Content | ReadError], store: Store | None, engine: Engine, max_pixels: int
) -> Iterator[_Chunk]:
    chunk = _Chunk(engine.batch)
    for content in contents:
        chunk.entries.append(_look_up(content, store, engine.identity, max_pixels))
        chunk.pending += isinstance(chunk.entries[-1], Content)
        if chunk.full():
            yield chunk
            chunk = _Chunk(engine.batch)
    if chunk.entries:
        yield chunk


def _look_up(content: Content | ReadError, store: Store | None, identity: str, max_pixels: int) -> FeatureRow | Content:
    """The stored row of the content, or the row of its read error; the content itself where it has to be embedded."""
    if isinstance(content, ReadError):
        return FeatureRow(None, None, None, content)
    row = store.get(content.sha256, identity) if store is not None else None
    if row is None or row.metadata is None or row.metadata.width * row.metadata.height > max_pixels:
        return content  # also an image stored under a higher limit: decoding it gives a read error
    return row


def _embed_pending(entries: Sequence[FeatureRow | Content], engine: Engine, max_pixels: int) -> list[FeatureRow]:
    rows: list[FeatureRow | tuple[Metadata, PreprocessedImage]] = []
    for entry in entries:
        if isinstance(entry, FeatureRow):
            rows.append(entry)
            continue
        preprocessed = preprocess_content(entry, engine.backbone.preprocessing, max_pixels=max_pixels)
        rows.append(FeatureRow(None, None, None, preprocessed) if isinstance(preprocessed, ReadError) else preprocessed)
    images = [row[1] for row in rows if not isinstance(row, FeatureRow)]
    if not images:
        return [row for row in rows if isinstance(row, FeatureRow)]
    model_inputs = [model_input for image in images for model_input in image.model_inputs]
    with engine.request(len(images)) as request:  # only now: others compute while images are decoded
        features = iter(request.features(model_inputs).reshape(len(images), -1))
    return [row if isinstance(row, FeatureRow) else make_feature_row(*row, next(features)) for row in rows]


def make_feature_row(metadata: Metadata, image: PreprocessedImage, features: NDArray[np.float32]) -> FeatureRow:
    """The row of an image with the features of its model inputs one after the other; a read error where they are not finite."""
    if np.isfinite(features).all():
        return FeatureRow(metadata, image.thumbnail, features, None)
    sentence = "The network gives features that are not finite for this image: check the image and the network."
    return FeatureRow(None, None, None, ReadError("not-finite", sentence))
