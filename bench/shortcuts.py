"""A planted shortcut, and labels that say nothing: which features `twofold audit` accuses.

    python bench/shortcuts.py [--data ../shared/data/cats-dogs/train]

Once the pictures as they are; once with the second class encoded anew at JPEG quality 60; and 20 times with their labels dealt
out at random, where whoever is accused is innocent.
"""

import argparse
import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from figures import HERE, TWOFOLD
from measure import run
from PIL import Image

from twofold.core.options import DataOptions
from twofold.data import LabelledFile, list_labelled_files

RELABELLED = 20


def accused(rows: list[tuple[Path, str]], folder: Path) -> list[str]:
    """The features that an audit of these pictures, at these labels, names."""
    table = folder / "pictures.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((path.resolve(), label) for path, label in rows)])
    found = run([TWOFOLD, "audit", str(table), "--quick", "--json"])["json"]
    return [shortcut["feature"] for shortcut in found["shortcuts"]]


def encoded_anew(item: LabelledFile, folder: Path) -> Path:
    file = io.BytesIO()
    Image.open(item.path).convert("RGB").save(file, "JPEG", quality=60)
    path = folder / item.path.name
    path.write_bytes(file.getvalue())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/cats-dogs/train")
    chosen = parser.parse_args()
    file_list = list_labelled_files(chosen.data, DataOptions())
    items, labels = file_list.items, [item.label for item in file_list.items]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_it_is = accused([(item.path, item.label) for item in items], folder)
        planted = [
            (encoded_anew(item, folder) if item.label == file_list.positive else item.path, item.label)
            for item in items
        ]
        result = {"as it is": as_it_is, "one class at quality 60": accused(planted, folder)}
        random = np.random.default_rng(0)
        dealt = [
            accused(
                [(item.path, str(label)) for item, label in zip(items, random.permutation(labels), strict=True)], folder
            )
            for _ in range(RELABELLED)
        ]
        result[f"{RELABELLED} random relabellings, accused"] = [features for features in dealt if features]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
