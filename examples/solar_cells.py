"""Solar cells, functional or defective: a public data set laid out as twofold's DATA, then trained and evaluated.

The images are those of elpv-dataset (Buerhop-Lutz et al. 2018; Deitsch et al. 2019): 2,624 cells, 300 x 300, grey, each
with a probability of being defective. The files stay in the installed package; two lists of them and a bundle are written.
"""

import csv
import shlex
import sys
from pathlib import Path

import elpv_dataset
import numpy as np
from numpy.typing import NDArray

from twofold.cli import main as twofold
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files
from twofold.dataset import split
from twofold.dataset.labelled import full_images, labelled_dataset
from twofold.embedding import Runtime

OUT = Path("demo")
COMMAND = "train demo/train.csv --test demo/test.csv --positive defective --out demo/solar.twofold --force"


def list_cells() -> list[tuple[Path, str]]:
    """Path and label of every cell: defective at a probability of 0.5 or more."""
    data = Path(elpv_dataset.__file__).parent / "data"
    rows = (line.split() for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines())
    return [(data / name, "defective" if float(chance) >= 0.5 else "functional") for name, chance, _ in rows]


def group_cells(cells: list[tuple[Path, str]], folder: Path) -> NDArray[np.int64]:
    """The group of each cell: the same for cells that show neighbouring wafers of one block, as twofold finds them."""
    file = folder / "cells.csv"
    write_list(file, cells)
    file_list = list_labelled_files(file, DataOptions())
    runtime = Runtime(folder)
    table = runtime.scan(file_list.paths)
    dataset = labelled_dataset(file_list, table, full_images(file_list.paths, table, runtime))
    group = dict(zip(dataset.paths, dataset.groups.tolist(), strict=True))
    return np.array([group[str(path)] for path, _ in cells])


def lay_out(folder: Path, *, seed: int = 123, grouped: bool = False) -> None:
    """Writes train.csv and test.csv, a stratified quarter of the cells, into `folder`.

    With `grouped`, cells that show the same wafer block are on one side; published results are for splits without groups.
    """
    cells = list_cells()
    folder.mkdir(exist_ok=True)
    labels = np.array([label == "defective" for _, label in cells], np.int8)
    groups = group_cells(cells, folder) if grouped else np.arange(len(cells))
    held_out = split(labels, groups, fraction=0.25, seed=seed)
    for name, rows in (("train.csv", ~held_out), ("test.csv", held_out)):
        write_list(folder / name, [cells[index] for index in np.flatnonzero(rows)])


def write_list(file: Path, cells: list[tuple[Path, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("path", "label"))
        writer.writerows(cells)


def main() -> None:
    lay_out(OUT, grouped=True)
    print(f"$ twofold {COMMAND}\n")
    if code := twofold(shlex.split(COMMAND)):
        sys.exit(code)
    print("""
Next:
  demo/solar.twofold/README.md                              the model card
  .venv/bin/twofold evaluate demo/solar.twofold demo/test.csv --out demo/figures    the test metrics, and figures
  .venv/bin/twofold train DATA --out yours.twofold          your images: a folder with one sub-folder per class

The images are licensed CC BY-NC-SA 4.0: for non-commercial use.""")


if __name__ == "__main__":
    main()
