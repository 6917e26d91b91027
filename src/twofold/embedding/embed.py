"""Files -> observations, in order, in one pass and in bounded memory: read, look up, decode, embed, keep."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.core.parallel import prefetch
from twofold.data import PreprocessedImage, Preprocessing, ReadError
from twofold.embedding.content import Content, Source, preprocess_content, read_content
from twofold.embedding.engine import BATCH, Engine, InferenceRequest
from twofold.embedding.feature_table import FeatureRow, Metadata
from twofold.embedding.store import Store

_AHEAD = 4  # tasks in flight for each thread: enough to keep all busy, little enough to hold few pictures
_PORTION = 64  # most observations that travel together


@dataclass(slots=True)
class _Portion:
    """A stretch of the stream: what is known already, and at most one batch of what is not."""

    entries: list[FeatureRow | Content] = field(default_factory=list)
    unseen: int = 0

    def full(self) -> bool:
        return self.unseen == BATCH or len(self.entries) == _PORTION


def embed(
    sources: Iterable[Source], engine: Engine, store: Store | None = None, *, max_pixels: int = 50_000_000
) -> Generator[FeatureRow]:
    """One observation for every source, in the order given.

    Whoever stops taking them leaves nothing running; what was seen until then is kept in `store`.
    """

    def seen(portion: _Portion) -> list[FeatureRow]:
        if portion.unseen == 0:
            return [entry for entry in portion.entries if isinstance(entry, FeatureRow)]
        with engine.request() as request:
            return _look_and_embed(portion.entries, request, engine.backbone.preprocessing, max_pixels)

    def started(portions: Iterator[_Portion]) -> Iterator[_Portion]:
        for portion in portions:
            if portion.unseen:
                engine.requests  # noqa: B018  # made in this thread, at the first picture that is not known
            yield portion

    pool = ThreadPoolExecutor(engine.threads, thread_name_prefix="observe")
    try:
        read = prefetch(pool, read_content, sources, BATCH * engine.threads)
        for observations, portion in prefetch(
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
    read: Iterator[Content | ReadError], store: Store | None, engine: Engine, max_pixels: int
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


def _known(entry: Content | ReadError, store: Store | None, backbone: str, max_pixels: int) -> FeatureRow | Content:
    if isinstance(entry, ReadError):
        return FeatureRow(None, None, None, entry)
    kept = store.get(entry.sha256, backbone) if store is not None else None
    known = kept is not None and kept.metadata is not None and kept.metadata.width * kept.metadata.height <= max_pixels
    return kept if kept is not None and known else entry  # a picture that is too large now is refused anew


def _look_and_embed(
    entries: list[FeatureRow | Content], request: InferenceRequest, preprocessing: Preprocessing, max_pixels: int
) -> list[FeatureRow]:
    done: list[FeatureRow | tuple[Metadata, PreprocessedImage]] = []
    count = 0
    for entry in entries:
        if isinstance(entry, FeatureRow):
            done.append(entry)
            continue
        seen = preprocess_content(entry, preprocessing, max_pixels=max_pixels)
        if isinstance(seen, ReadError):
            done.append(FeatureRow(None, None, None, seen))
            continue
        request.model_inputs[count] = seen[1].model_input
        count += 1
        done.append(seen)
    features = iter(request.run(count)) if count else iter(())
    return [entry if isinstance(entry, FeatureRow) else _observation(*entry, next(features)) for entry in done]


def _observation(metadata: Metadata, seen: PreprocessedImage, features: NDArray[np.float32]) -> FeatureRow:
    if np.isfinite(features).all():
        return FeatureRow(metadata, seen.thumbnail, features, None)
    sentence = "The network gives numbers for it that are not finite: look at the image, and at the network."
    return FeatureRow(None, None, None, ReadError("not-finite", sentence))
