"""A frozen network ready to be run, and how one is got by name."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from twofold.data import Note, Ranges, Square
from twofold.embedding.architectures import ARCHITECTURES, Architecture, architecture
from twofold.embedding.torchfile import read_weights
from twofold.embedding.watch import Watch, unwatched
from twofold.embedding.weights import find_weights
from twofold.errors import BackboneError, UsageError
from twofold.options import BackboneOptions, Vector

Arithmetic = Literal["f32", "bf16", "int8"]


LOOK = 4  # counts up whenever other pixels or facts of a picture are seen: what was kept before is then not used


@dataclass(frozen=True, eq=False)
class Backbone:
    """`graph` is ONNX: input `image`, uint8 (batch, size, size, 3); outputs `vector` and, where it has one, `features`."""

    name: str
    graph: bytes = field(repr=False)
    square: Square
    precision: Arithmetic
    vector: Vector
    notes: tuple[Note, ...] = field(default=(), kw_only=True)

    @cached_property
    def identity(self) -> str:
        """The hash of all that a vector depends on beside the picture, 64 hexadecimal digits.

        Computed from what runs, never read from a file: it is what vectors are remembered by.
        """
        rest = json.dumps([LOOK, asdict(self.square), self.precision], sort_keys=True)
        return hashlib.sha256(rest.encode() + self.graph).hexdigest()


def ranged(backbone: Backbone, ranges: Ranges) -> Backbone:
    """The same network for images of more than eight bits, of whose numbers these are black and white."""
    if ranges == backbone.square.ranges:
        return backbone
    return replace(backbone, square=backbone.square.ranged(ranges))


def load_backbone(
    options: BackboneOptions, precision: Arithmetic, *, cache: Path, watch: Watch = unwatched
) -> Backbone:
    """The network that the options name. `cache` is where downloaded weights are kept; `watch` sees them come.

    Raises UsageError for a name, size or precision that is not to be had, BackboneError where the network or its weights
    cannot be read.
    """
    if options.backbone.endswith(".onnx"):
        from twofold.embedding.custom import load_custom

        return load_custom(options, precision)
    table = architecture(options.backbone)
    given = [f"--{name}" for name in ("output", "mean", "std") if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} is for FILE.onnx; {table.name} brings its own.")
    size = options.size or table.size
    if size not in table.sizes:
        raise UsageError(f"--size for {table.name} lies between {table.sizes[0]} and {table.sizes[-1]}, got {size}.")
    square = Square(size, options.framing or table.framing, options.filter or table.filter)
    file = find_weights(table.source, given=options.weights, cache=cache, watch=watch)
    graph = _graph(table, file, size, options.vector, precision)
    return Backbone(table.name, graph, square, precision, options.vector)


def offered_precisions(name: str) -> tuple[Arithmetic, ...]:
    """What the network can be run in, whatever the processor: int8 wherever twofold carries the ranges for it."""
    if name not in ARCHITECTURES or not _ranges_file(name).is_file():
        return ("bf16", "f32")
    return ("int8", "bf16", "f32")


def _graph(table: Architecture, weights: Path, size: int, vector: Vector, precision: Arithmetic) -> bytes:
    from twofold.embedding.graph import build_graph  # imports onnx, which answering does not need

    ranges = json.loads(_ranges_file(table.name).read_text(encoding="utf-8")) if precision == "int8" else None
    try:
        model = build_graph(table, read_weights(weights), size=size, vector=vector, ranges=ranges)
    except KeyError as error:
        raise BackboneError(f"The weights of {table.name} lack {error}; get the file again.") from error
    return bytes(model.SerializeToString(deterministic=True))


def _ranges_file(name: str) -> Path:
    return Path(str(files("twofold.embedding") / "ranges" / f"{name}.json"))
