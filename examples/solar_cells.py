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

from twofold.cli import main as twofold
from twofold.dataset import split

OUT = Path("demo")
COMMAND = "train demo/train.csv --test demo/test.csv --positive defective --out demo/solar.twofold --force"


def list_cells() -> list[tuple[Path, str]]:
    """Path and label of every cell: defective at a probability of 0.5 or more."""
    data = Path(elpv_dataset.__file__).parent / "data"
    rows = (line.split() for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines())
    return [(data / name, "defective" if float(chance) >= 0.5 else "functional") for name, chance, _ in rows]


def lay_out(folder: Path, *, seed: int = 123) -> None:
    """Writes train.csv and test.csv, a stratified quarter of the cells, into `folder`."""
    cells = list_cells()
    labels = np.array([label == "defective" for _, label in cells], np.int8)
    held_out = split(labels, np.arange(len(cells)), fraction=0.25, seed=seed)
    folder.mkdir(exist_ok=True)
    for name, rows in (("train.csv", ~held_out), ("test.csv", held_out)):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label"))
            writer.writerows(cells[index] for index in np.flatnonzero(rows))


def main() -> None:
    lay_out(OUT)
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
