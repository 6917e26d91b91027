"""The life of a watch: images are added one after the other, and each counts once."""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Final

import numpy as np

from twofold.bundle.storage import Bundle
from twofold.workflows.image_measures import DIGITS, MeasuredBatch, MeasuredImage
from twofold.workflows.monitor_reading import Reading, read_monitor
from twofold.workflows.monitors import Monitor
from twofold.workflows.watch_state import RECENT, REMEMBERED, WatchState

_BLOCK: Final = 32  # images that are bet on together: one by one takes ten times as long


class WatchLife:
    """The life that continues from a `state`. Images with a digest in `training` are those of the training, and do not count.

    For one thread at a time.
    """

    def __init__(self, monitors: Sequence[Monitor], training: Collection[str], state: WatchState) -> None:
        self._monitors, self._training, self._bundle = monitors, training, state.bundle
        self._martingales = dict(state.martingales)
        self._recent = {name: deque(values, RECENT) for name, values in state.recent.items()}
        self._digests = OrderedDict.fromkeys(state.digests)  # the oldest first; a dict is slow to give that up
        self._read_errors = Counter(state.read_errors)
        self._pending = list[MeasuredImage]()
        self.images, self._repeated, self._training_images = state.images, state.repeated, state.training_images

    def add(self, batch: MeasuredBatch) -> None:
        """Counts some images."""
        self._read_errors.update(batch.read_errors)
        for image in batch.images:
            if image.digest in self._training:
                self._training_images += 1
            elif image.digest in self._digests:
                self._repeated += 1
            else:
                self._add_new(image)

    def _add_new(self, image: MeasuredImage) -> None:
        self.images += 1
        self._digests[image.digest] = None
        if len(self._digests) > REMEMBERED:
            self._digests.popitem(last=False)
        self._pending.append(image)
        if len(self._pending) == _BLOCK:
            self._bet()

    def _bet(self) -> None:
        """Bets on the images that wait for it."""
        for monitor in self._monitors:
            name = monitor.name
            pairs = [(image.measures[name], image.tie(name)) for image in self._pending if name in image.measures]
            if pairs:
                values, ties = np.array(pairs, np.float64).T
                follow = self._martingales[name].follow
                self._martingales[name] = follow(values, ties, monitor.urn, monitor.bets, monitor.limit)
                self._recent[name].extend(values.tolist())
        self._pending.clear()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What the monitors say."""
        self._bet()
        martingales, recent = self._martingales, self._recent
        return tuple(read_monitor(each, martingales[each.name], recent[each.name]) for each in self._monitors)

    @property
    def state(self) -> WatchState:
        """The state now, from which another life continues."""
        self._bet()
        recent = {name: tuple(values) for name, values in self._recent.items()}
        counts = self.images, self._repeated, self._training_images, Counter(self._read_errors)
        return WatchState(self._bundle, dict(self._martingales), recent, tuple(self._digests), *counts)


def training_digests(bundle: Bundle) -> frozenset[str]:
    """The digests of the files of the training, by the file report, or the fingerprints of a slim form.

    Raises BundleError where they were altered.
    """
    hashes: Iterable[str] = (row.get("sha256") or "" for row in bundle.file_rows())
    if not (bundle.path / "files.csv").exists() and (bundle.path / "fingerprints.csv").exists():
        hashes = chain.from_iterable(keys[:1] for keys in bundle.fingerprint_index().keys)
    return frozenset(digest[:DIGITS] for digest in hashes if digest)
