"""The rows of scanned images: metadata and thumbnail, computed without a network, as the columns of a part."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

from twofold.core.json_text import json_text
from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.data import PREPROCESSING_VERSION, ImageArray, ReadError
from twofold.embedding import Metadata
from twofold.embedding.scan import scan
from twofold.workflows.scale.fingerprint_columns import fingerprint_fields, fingerprint_values
from twofold.workflows.scale.prediction_rows import printable_path

_VERSION: Final = 1  # raised when the rows of the same images change for another reason than their preprocessing


@dataclass(frozen=True, slots=True, eq=False)
class ScannedImage:
    """The row of an image; `reason` is the code of the read error of an image that has no metadata and no thumbnail."""

    path: str
    reason: str | None
    metadata: Metadata | None = None
    thumbnail: ImageArray | None = field(default=None, repr=False)  # (SMALL, SMALL, 3)


@dataclass(frozen=True, slots=True)
class ImageScanner:
    """Computes the rows of scanned images; opens itself, in the process that calls it.

    Images with more than eight bits per channel are scaled from the full range, because the range of all images together would
    take a pass over them.
    """

    options: RuntimeOptions
    notes: ClassVar[tuple[Note, ...]] = ()

    def __call__(self) -> "nullcontext[ImageScanner]":
        return nullcontext(self)

    def record(self) -> dict[str, Any]:
        """What the rows depend on, as JSON."""
        return {
            "task": "audit",
            "scan": f"{_VERSION}.{PREPROCESSING_VERSION}",
            "max_megapixels": self.options.max_megapixels,
        }

    def digest(self) -> str:
        """The SHA-256 of what the rows depend on, which stands in for that of a model."""
        return sha256(json_text(self.record()).encode()).hexdigest()

    def stream(self, sources: Iterable[Path | bytes]) -> Iterator[ScannedImage]:
        """The rows of the sources, in their order; the path of bytes is empty."""
        paths: deque[str] = deque()  # of the few images in flight

        def noted() -> Iterator[Path | bytes]:
            for source in sources:
                paths.append("" if isinstance(source, bytes) else str(source))
                yield source

        with closing(scan(noted(), threads=self.options.threads, max_pixels=self.options.max_pixels)) as rows:
            for row in rows:
                reason = None if row.read_error is None else row.read_error.code
                yield ScannedImage(paths.popleft(), reason, row.metadata, row.thumbnail)


@dataclass(frozen=True, slots=True)
class ScanFormat:
    """The path, the reason, and the columns of the fingerprint."""

    def schema(self) -> Any:
        """See `RowFormat`; here and below."""
        import pyarrow

        fields = {"path": pyarrow.string(), "reason": pyarrow.string(), **fingerprint_fields()}
        return pyarrow.schema(list(fields.items()))

    def values(self, rows: Sequence[ScannedImage], model: str) -> Mapping[str, Any]:
        return {
            "path": [printable_path(row.path) for row in rows],
            "reason": [row.reason for row in rows],
            **fingerprint_values([row.metadata for row in rows], [row.thumbnail for row in rows]),
        }

    def unanswered(self, path: str, reason: str, error: ReadError | None = None) -> ScannedImage:
        return ScannedImage(path, reason)

    def at(self, row: ScannedImage, path: str) -> ScannedImage:
        return replace(row, path=path)
