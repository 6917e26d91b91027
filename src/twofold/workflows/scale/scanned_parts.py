"""The finished parts of scanned images, read again in the order of the plan."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.core.progress import Progress, no_progress
from twofold.duplicates.equal_digests import Digests
from twofold.workflows.scale.fingerprint_columns import thumbnails_of
from twofold.workflows.scale.part_files import part_name
from twofold.workflows.scale.plan import Part

_SHA256, _PIXELS = 32, 40  # bytes of a digest and of a pixel key


@dataclass(frozen=True, slots=True, eq=False)
class ScannedKeys:
    """The digests of the images that could be read: `rows` (n,) are their numbers in the plan, `of_bytes` and `of_pixels` (n,)
    their digests. `read_errors` is the number of images that could not be read, for each reason."""

    rows: NDArray[np.int64] = field(repr=False)
    of_bytes: Digests = field(repr=False)
    of_pixels: Digests = field(repr=False)
    read_errors: dict[str, int]


class ScannedParts:
    """The rows of finished parts in `folder`. Methods raise DataError where a part cannot be read."""

    def __init__(self, folder: Path, parts: Sequence[Part], progress: Progress = no_progress) -> None:
        self._folder, self._parts, self._progress = folder, parts, progress
        self._starts = np.cumsum([0, *(part.count for part in parts)])

    def path(self, row: int) -> str:
        """The path of a row as the plan has it: those in the parts are printable, so they may name no file."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return _paths(self._parts[number])[row - int(self._starts[number])]

    def paths(self) -> Any:
        """The printable paths of all rows, a pyarrow.Array."""
        import pyarrow

        chunks = [chunk for table in self._tables(["path"], "paths") for chunk in table["path"].chunks]
        return pyarrow.chunked_array(chunks, pyarrow.string()).cast(pyarrow.large_string()).combine_chunks()

    def keys(self) -> ScannedKeys:
        """The digests of all images that could be read."""
        rows = [np.empty(0, np.int64)]
        of_bytes, of_pixels = [np.empty(0, f"S{_SHA256}")], [np.empty(0, f"S{_PIXELS}")]
        reasons: Counter[str] = Counter()
        for start, table in zip(self._starts, self._tables(["reason", "sha256", "pixels"], "digests"), strict=False):
            rows.append(start + np.flatnonzero(table["sha256"].is_valid().to_numpy()))
            of_bytes.append(_digests(table["sha256"], _SHA256))
            of_pixels.append(_digests(table["pixels"], _PIXELS))
            reasons.update(table["reason"].drop_null().to_pylist())
        keys = np.concatenate(of_bytes), np.concatenate(of_pixels)
        return ScannedKeys(np.concatenate(rows), *keys, dict(sorted(reasons.items())))

    def thumbnails(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """The thumbnails of these rows, which are sorted and could be read, part after part."""
        cuts = np.searchsorted(rows, self._starts)
        for number, table in enumerate(self._tables(["thumbnail"], "thumbnails")):
            readable = self._starts[number] + np.flatnonzero(table["thumbnail"].is_valid().to_numpy())
            yield thumbnails_of(table["thumbnail"])[np.searchsorted(readable, rows[cuts[number] : cuts[number + 1]])]

    def _tables(self, columns: list[str], what: str) -> Iterator[Any]:
        from pyarrow.parquet import ParquetFile

        for part in self._progress(self._parts, len(self._parts), f"parts of {what}"):
            path = self._folder / part_name(part.digest)
            try:
                with ParquetFile(path) as file:
                    table = file.read(columns)
            except (OSError, ValueError) as error:
                raise DataError(f"The part {path} cannot be read: run it again, and it is computed anew.") from error
            yield table


@lru_cache(64)
def _paths(part: Part) -> list[str]:
    return part.paths()


def _digests(column: Any, size: int) -> Digests:
    """The digests of a column of them in hexadecimal, those of `size` bytes; without those that are null."""
    return np.frombuffer(bytes.fromhex("".join(column.drop_null().to_pylist())), f"S{size}")
