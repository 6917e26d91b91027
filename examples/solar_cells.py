"""Solar cells, functional or defective: a public data set laid out as twofold's DATA, then trained and evaluated.

The pictures are those of elpv-dataset (Buerhop-Lutz et al. 2018; Deitsch et al. 2019): 2,624 cells, 300 x 300, grey, each
with the probability that it is defective. They stay where pip put them; what is written is two lists of them and a bundle.
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


def listed() -> list[tuple[Path, str]]:
    """Every cell and its label: defective from a probability of one half on."""
    data = Path(elpv_dataset.__file__).parent / "data"
    rows = (line.split() for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines())
    return [(data / name, "defective" if float(chance) >= 0.5 else "functional") for name, chance, _ in rows]


def lay_out(folder: Path, *, seed: int = 123) -> None:
    """Writes train.csv and test.csv, a stratified quarter of the cells, into `folder`."""
    cells = listed()
    labels = np.array([label == "defective" for _, label in cells], np.int8)
    held_out = split(labels, np.arange(len(cells)), fraction=0.25, seed=seed)
    folder.mkdir(exist_ok=True)
    for name, part in (("train.csv", ~held_out), ("test.csv", held_out)):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label"))
            writer.writerows(cells[index] for index in np.flatnonzero(part))


def main() -> None:
    lay_out(OUT)
    print(f"$ twofold {COMMAND}\n")
    if code := twofold(shlex.split(COMMAND)):
        sys.exit(code)
    print("""
Where to look next:
  demo/solar.twofold/README.md                              what was learned, from what, and how well it answers
  .venv/bin/twofold evaluate demo/solar.twofold demo/test.csv --out demo/figures    the same numbers, and five figures
  .venv/bin/twofold train YOUR_PICTURES --out yours.twofold     a folder with one sub-folder for each of two classes

The pictures are licensed CC BY-NC-SA 4.0: for non-commercial use.""")


if __name__ == "__main__":
    main()
