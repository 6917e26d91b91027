"""A frozen network ready to be run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from twofold.core.notes import Note
from twofold.core.options import FeatureSet
from twofold.data import Preprocessing, Ranges
from twofold.networks.dtypes import Dtype

LOOK = 4  # counts up whenever other pixels or facts of a picture are seen: what was kept before is then not used


@dataclass(frozen=True, eq=False)
class Backbone:
    """`graph` is ONNX: input `image`, uint8 (batch, size, size, 3); outputs `features` and, where it has one, `feature_map`."""

    name: str
    graph: bytes = field(repr=False)
    preprocessing: Preprocessing
    dtype: Dtype
    features: FeatureSet
    notes: tuple[Note, ...] = field(default=(), kw_only=True)

    @cached_property
    def identity(self) -> str:
        """The hash of all that a vector depends on beside the picture, 64 hexadecimal digits.

        Computed from what runs, never read from a file: it is what vectors are remembered by.
        """
        rest = json.dumps([LOOK, asdict(self.preprocessing), self.dtype], sort_keys=True)
        return hashlib.sha256(rest.encode() + self.graph).hexdigest()


def ranged(backbone: Backbone, ranges: Ranges) -> Backbone:
    """The same network for images of more than eight bits, of whose numbers these are black and white."""
    if ranges == backbone.preprocessing.ranges:
        return backbone
    return replace(backbone, preprocessing=backbone.preprocessing.ranged(ranges))
