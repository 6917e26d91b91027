"""A planted shortcut, and random labels: the metadata features that `twofold audit` lists.

    python bench/shortcuts.py [--data ../shared/data/cats-dogs/train]

Three datasets: the images unchanged; the second class re-encoded at JPEG quality 60; and 20 random permutations of the labels,
where every listed feature is a false alarm.
"""

import argparse
import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from journal import run
from measurements import BENCH, TWOFOLD
from PIL import Image

from twofold.core.options import DataOptions
from twofold.data import LabelledFile, list_labelled_files

PERMUTATIONS = 20


def list_shortcuts(rows: list[tuple[Path, str]], folder: Path) -> list[str]:
    """The features that an audit of these images with these labels lists."""
    table = folder / "images.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((path.resolve(), label) for path, label in rows)])
    result = run([TWOFOLD, "audit", str(table), "--quick", "--json"])["json"]
    return [shortcut["feature"] for shortcut in result["shortcuts"]]


def re_encode(file: LabelledFile, folder: Path) -> Path:
    buffer = io.BytesIO()
    Image.open(file.path).convert("RGB").save(buffer, "JPEG", quality=60)
    path = folder / file.path.name
    path.write_bytes(buffer.getvalue())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BENCH.parents[1] / "shared/data/cats-dogs/train")
    arguments = parser.parse_args()
    file_list = list_labelled_files(arguments.data, DataOptions())
    files, labels = file_list.files, [file.label for file in file_list.files]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unchanged = list_shortcuts([(file.path, file.label) for file in files], folder)
        planted = [
            (re_encode(file, folder) if file.label == file_list.positive else file.path, file.label) for file in files
        ]
        result = {"unchanged": unchanged, "one class at quality 60": list_shortcuts(planted, folder)}
        random = np.random.default_rng(0)
        shortcuts = [
            list_shortcuts(
                [(file.path, str(label)) for file, label in zip(files, random.permutation(labels), strict=True)], folder
            )
            for _ in range(PERMUTATIONS)
        ]
        result[f"{PERMUTATIONS} random permutations, listed"] = [features for features in shortcuts if features]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
