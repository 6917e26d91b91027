"""`make bench`: measures twofold beside the programs it replaces, on the same pictures, and writes bench/RESULTS.md.

    python bench/run.py [--data ../shared/data/cats-dogs] [--weights FILE] [--repeats 3] [--only NAME ...]

Every run is kept in bench/work/runs.jsonl, so a measurement that was stopped goes on where it was; delete bench/work to
begin anew, and before you take other pictures. The first time, TensorFlow is installed into bench/.venv-keras (1.6 GB).
"""

import argparse
import subprocess
import sys
from pathlib import Path

from figures import ACCURACY, HERE, PROGRAMS, PROMISES, RATES, Figure, Given
from measure import Journal
from results import results

from twofold.networks.architectures import find_architecture
from twofold.networks.weights import find_weights


def measured(figures: tuple[Figure, ...], given: Given, journal: Journal, repeats: int) -> None:
    """All figures once, then all of them again: what disturbs the machine for a while disturbs all alike."""
    for number in range(1, max(figure.repeats or repeats for figure in figures) + 1):
        for figure in figures:
            count = min(number, figure.repeats or repeats)
            journal.complete(figure.name, count, lambda figure=figure: figure.measure(given))


def keras_python() -> Path:
    """The Python of Keras's own environment, made where it is missing."""
    environment = HERE / ".venv-keras"
    python = environment / "bin/python"
    if not (environment / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        requirements = HERE / "requirements-keras.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
        (environment / "complete").touch()
    return python


def mobilenetv2_weights(data: Path, work: Path) -> Path:
    """The file that both twofold and the PyTorch program read; a script beside the photographs may know where it is."""
    source = find_architecture("mobilenetv2").source
    script = data.parent / "get-mobilenetv2"
    if script.is_file() and not (work / source.file).is_file():
        subprocess.run([script, work], check=True, stdout=subprocess.DEVNULL)
    return find_weights(source, cache=work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/cats-dogs")
    parser.add_argument(
        "--weights", type=Path, help="MobileNetV2's, torchvision's file; found or downloaded by default"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="figures whose names begin so; all by default")
    chosen = parser.parse_args()
    for needed in (chosen.data / "train", chosen.data / "test"):
        if not needed.is_dir():
            sys.exit(
                f"There is no folder {needed}; pass --data with a folder that holds train/ and test/ of two classes."
            )
    work = HERE / "work"
    work.mkdir(exist_ok=True)
    journal = Journal(work / "runs.jsonl")
    weights = chosen.weights or mobilenetv2_weights(chosen.data, work)
    given = Given(chosen.data.resolve(), weights.resolve(), work, keras_python())
    for figures in (PROGRAMS, RATES, ACCURACY, PROMISES):
        wanted = tuple(f for f in figures if not chosen.only or f.name.startswith(tuple(chosen.only)))
        if wanted:
            measured(wanted, given, journal, chosen.repeats)
    (HERE / "RESULTS.md").write_text(results(journal, given), encoding="utf-8")
    print(f"Wrote {HERE / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
