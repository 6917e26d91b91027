"""Seconds of each column of a labelled dataset of many images.

python bench/dataset_columns.py [IMAGES]
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np

from twofold.data import FileList, LabelledFile
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Duplicate
from twofold.embedding import FeatureTable, Metadata


def main(images: int = 200_000) -> None:
    """Draws a dataset with some duplicates, and prints the seconds of the first access to each column."""
    digests = [hashlib.sha256(str(row - 2 if row % 50 == 2 else row).encode()).hexdigest() for row in range(images)]
    metadata = tuple(Metadata(digest, digest[:40], 640, 480, "JPEG", 50_000) for digest in digests)
    files = tuple(LabelledFile(Path(f"{row}.jpg"), ("cats", "dogs")[row % 2], None) for row in range(images))
    file_list = FileList(files, (), ("cats", "dogs"), "dogs", ())
    table = FeatureTable(
        metadata, (None,) * images, np.zeros((images, 8), np.float32), np.zeros((images, 32, 32, 3), np.uint8)
    )
    pairs = tuple(Duplicate(row, row + 2, "near") for row in range(0, images - 2, 500))
    dataset = LabelledDataset(file_list, table, ("cats", "dogs"), pairs)
    total = 0.0
    for name in ("paths", "labels", "names", "fingerprints", "valid", "counts", "groups", "usable_fingerprints"):
        start = time.perf_counter()
        getattr(dataset, name)
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{name:18}  {seconds:.3f} s")
    print(f"{'all columns':18}  {total:.3f} s")
    start = time.perf_counter()
    folds(dataset.names, dataset.groups, 5, 0)
    print(f"{'folds':18}  {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
