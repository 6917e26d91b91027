"""`make bench`: compares twofold with the programs it replaces, on the same images, and writes bench/RESULTS.md.

    python bench/benchmark.py [--data ../shared/data/cats-dogs] [--weights FILE] [--repeats 3] [--only NAME ...]

Every run is recorded in bench/work/runs.jsonl, so an interrupted benchmark continues; delete bench/work to start again, or
to use other images. On the first run, TensorFlow is installed into bench/.venv-keras (1.6 GB).
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from journal import Journal
from measurements import ACCURACY, BENCH, PROGRAMS, RATES, REQUIREMENTS, BenchmarkSetup, Measurement
from results_page import results

from twofold.networks.architectures import find_architecture
from twofold.networks.weights import find_weights


def run_measurements(measurements: tuple[Measurement, ...], setup: Any, journal: Journal, repeats: int) -> None:
    """Runs all measurements once, then again: interleaved, so that disturbances of the machine affect all of them."""
    for number in range(1, max(measurement.repeats or repeats for measurement in measurements) + 1):
        for measurement in measurements:
            count = min(number, measurement.repeats or repeats)
            journal.complete(measurement.name, count, lambda measurement=measurement: measurement.measure(setup))


def keras_python() -> Path:
    """The Python of the Keras environment, which is created if it is missing."""
    environment = BENCH / ".venv-keras"
    python = environment / "bin/python"
    if not (environment / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        requirements = BENCH / "requirements-keras.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
        (environment / "complete").touch()
    return python


def mobilenetv2_weights(data: Path, work: Path) -> Path:
    """The weights file of twofold and the PyTorch program. A script `get-mobilenetv2` next to the photographs may provide it."""
    source = find_architecture("mobilenetv2").source
    script = data.parent / "get-mobilenetv2"
    if script.is_file() and not (work / source.file).is_file():
        subprocess.run([script, work], check=True, stdout=subprocess.DEVNULL)
    return find_weights(source, cache=work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BENCH.parents[1] / "shared/data/cats-dogs")
    parser.add_argument(
        "--weights", type=Path, help="torchvision's file for MobileNetV2; searched for or downloaded by default"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="prefixes of measurements; all by default")
    arguments = parser.parse_args()
    for folder in (arguments.data / "train", arguments.data / "test"):
        if not folder.is_dir():
            sys.exit(
                f"There is no folder {folder}; pass --data with a folder that contains train/ and test/ of two classes."
            )
    work = BENCH / "work"
    work.mkdir(exist_ok=True)
    journal = Journal(work / "runs.jsonl")
    weights = arguments.weights or mobilenetv2_weights(arguments.data, work)
    setup = BenchmarkSetup(arguments.data.resolve(), weights.resolve(), work, keras_python())
    for group in (PROGRAMS, RATES, ACCURACY, REQUIREMENTS):
        measurements = tuple(m for m in group if not arguments.only or m.name.startswith(tuple(arguments.only)))
        if measurements:
            run_measurements(measurements, setup, journal, arguments.repeats)
    (BENCH / "RESULTS.md").write_text(results(journal, setup), encoding="utf-8")
    print(f"Wrote {BENCH / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
