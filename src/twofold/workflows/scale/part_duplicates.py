"""The duplicates among the images of finished parts, in bounded memory, and the file of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import open_binary_replacement
from twofold.duplicates import DuplicateKind, FullImages, find_near_duplicates
from twofold.duplicates.equal_digests import find_equal_images
from twofold.duplicates.hamming_search import Pairs
from twofold.workflows.scale.part_files import sync, sync_folder
from twofold.workflows.scale.scanned_parts import ScannedKeys, ScannedParts
from twofold.workflows.scale.thumbnail_file import ThumbnailFile

KINDS: Final[tuple[DuplicateKind, ...]] = ("exact", "pixels", "near", "same-scene")
_AT_ONCE: Final = 1 << 16  # pairs that are written


@dataclass(frozen=True, slots=True, eq=False)
class DuplicatePairs:
    """Pairs of rows of the plan, (m, 2), the first before the second, sorted; `kinds` (m,) are numbers of `KINDS`."""

    pairs: Pairs = field(repr=False)
    kinds: NDArray[np.int8] = field(repr=False)

    def of_kinds(self, *kinds: DuplicateKind) -> Pairs:
        """The pairs of these kinds."""
        return self.pairs[np.isin(self.kinds, [KINDS.index(kind) for kind in kinds])]


def find_part_duplicates(
    parts: ScannedParts, keys: ScannedKeys, images: FullImages | None, folder: Path
) -> DuplicatePairs:
    """The duplicates among the images with these keys, those that `find_duplicates` finds by thumbnails and full size.

    The thumbnails go to a temporary file in `folder`, 3 kB for each image.
    """
    equal = find_equal_images(keys.of_bytes, keys.of_pixels)
    rows = keys.rows[equal.distinct]
    with ThumbnailFile(folder) as thumbnails:
        for some in parts.thumbnails(rows):
            thumbnails.append(some)
        near = find_near_duplicates(thumbnails, rows, images)
    near_pairs = np.array([(pair.first, pair.second) for pair in near], np.int64).reshape(-1, 2)
    pairs = np.concatenate([keys.rows[equal.pairs], near_pairs])
    kinds = [np.where(equal.of_bytes, 0, 1), np.array([KINDS.index(pair.kind) for pair in near])]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return DuplicatePairs(pairs[order], np.concatenate(kinds).astype(np.int8)[order])


def write_pairs(duplicates: DuplicatePairs, paths: Any, path: Path) -> None:
    """Writes the pairs as Parquet, `first` and `second` as paths, and `kind`; whole or not at all."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema({name: pyarrow.string() for name in ("first", "second", "kind")})
    with open_binary_replacement(path) as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for first, second, kinds in _batches(duplicates, paths):
                columns = [first.cast(pyarrow.string()), second.cast(pyarrow.string()), [KINDS[kind] for kind in kinds]]
                writer.write_table(pyarrow.table(columns, schema))
        sync(file)
    sync_folder(path.parent)


def count_across_folders(duplicates: DuplicatePairs, paths: Any) -> int:
    """The number of pairs in different folders, such as classes; without pairs of one scene, which are no duplicates."""
    count = 0
    for first, second, kinds in _batches(duplicates, paths):
        for one, other, kind in zip(first.to_pylist(), second.to_pylist(), kinds, strict=True):
            count += KINDS[kind] != "same-scene" and os.path.dirname(one) != os.path.dirname(other)
    return count


def _batches(duplicates: DuplicatePairs, paths: Any) -> Iterator[tuple[Any, Any, NDArray[np.int8]]]:
    """The paths of the first and of the second images, pyarrow arrays, and the kinds, for some pairs at a time."""
    for start in range(0, len(duplicates.pairs), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        first, second = (paths.take(column) for column in duplicates.pairs[some].T)
        yield first, second, duplicates.kinds[some]
