"""Seconds of whole `twofold decide` processes on a bundle whose scores are multiplied.

    python bench/decide_speed.py BUNDLE [--counts 20000 1000000] [--repeats 5]

The scores of BUNDLE are repeated with some noise. Times are the smallest of the repeats, with modules compiled to bytecode.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from twofold.bundle.format import checksum

COMMANDS = ([], ["--promise", "recall>=0.7"], ["--cost-fp", "1", "--cost-fn", "5"], ["--optimize", "f1"])


def multiply(source: Path, target: Path, count: int) -> None:
    """A copy of a bundle with this number of scores."""
    shutil.copytree(source, target)
    with (source / "scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    random = np.random.default_rng(0)
    with (target / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for number in range(count):
            row = dict(zip(header, rows[number % len(rows)], strict=True))
            row |= {"path": f"{number}/{row['path']}", "group": str(number)}
            row["logit"] = f"{float(row['logit']) + 0.1 * random.normal():.6f}"
            writer.writerow(row.values())
    record = json.loads((target / "bundle.json").read_bytes())
    record["files"]["scores.csv"] = hashlib.sha256((target / "scores.csv").read_bytes()).hexdigest()
    del record["sha256"]
    record["sha256"] = checksum(record)
    (target / "bundle.json").write_text(json.dumps(record))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "many.twofold"
            multiply(arguments.bundle, bundle, count)
            for options in COMMANDS:
                command, seconds = [sys.executable, "-m", "twofold", "decide", str(bundle), *options], []
                for _ in range(arguments.repeats):
                    start = time.perf_counter()
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
                    seconds.append(time.perf_counter() - start)
                print(f"{count:,} scores, decide {' '.join(options)}: {min(seconds):.2f} s", flush=True)


if __name__ == "__main__":
    main()
