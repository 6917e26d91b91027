"""Where the last pooling of a network is among its features."""

from twofold.core.options import FeatureSet
from twofold.networks.architectures import ARCHITECTURES, Architecture, middle_blocks

Ranges = tuple[tuple[int, int], ...]

_FINE_TUNED = ", fine-tuned"


def last_pooling(name: str, features: FeatureSet, width: int) -> Ranges:
    """The ranges (start, end), among `width` features of a model input, of the last pooling of a network, or of each of two.

    All features of a network of which that is unknown.
    """
    first, plus, second = name.removesuffix(_FINE_TUNED).partition("+")
    if not plus:
        return (_end_of(first, 0, width),)
    counts = [
        count_features(ARCHITECTURES[each], features) if each in ARCHITECTURES else None for each in (first, second)
    ]
    if counts[0] is None and counts[1] is not None:
        counts[0] = width - counts[1]
    if counts[0] is None or not 0 < counts[0] < width:
        return ((0, width),)
    return (_end_of(first, 0, counts[0]), _end_of(second, counts[0], width))


def _end_of(name: str, start: int, end: int) -> tuple[int, int]:
    architecture = ARCHITECTURES.get(name)
    return (start if architecture is None else max(start, end - architecture.last_channels), end)


def count_features(architecture: Architecture, features: FeatureSet) -> int:
    """The number of features of a built-in network."""
    count, channels, block = architecture.last_channels, 32, 0
    for stage in architecture.stages:
        for _ in range(stage.repeats):
            if features == "filters" and block in middle_blocks(architecture):
                count += channels * stage.expand
            block, channels = block + 1, stage.channels
        if features != "last":
            count += 2 * channels
    return count
