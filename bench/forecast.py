"""The forecasts of train and predict against whole processes: seconds, and the peak of memory.

    python bench/forecast.py DATA [DATA2 ...] [--sizes 200 600 2000] [--runs 1]

DATA is a folder with one sub-folder per class, of which random subsets of these sizes are linked. Each is trained on with an
empty cache, trained on once more from the cache, and its images are predicted without a cache. The computer must be quiet. The
last line counts the forecasts within 20%; runs that are over within a few seconds make none.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

FORECAST = re.compile(r"About ([\d.]+) (s|min|h) and ([\d.]+) (GB|MB)")
SECONDS = {"s": 1, "min": 60, "h": 3600}
WITHIN = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 600, 2000])
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{'run':40}{'forecast s':>12}{'actual s':>10}{'ratio':>7}{'forecast GB':>13}{'actual GB':>11}{'ratio':>7}")
    ratios: list[tuple[float, float]] = []
    for run in range(arguments.runs):
        for data in arguments.data:
            for size in arguments.sizes:
                ratios += measure(data, size, run)
    within = [sum(1 - WITHIN <= pair[column] <= 1 + WITHIN for pair in ratios) for column in (0, 1)]
    print(f"within {WITHIN:.0%}: seconds {within[0]} of {len(ratios)}, memory {within[1]} of {len(ratios)}")


def measure(data: Path, size: int, seed: int) -> list[tuple[float, float]]:
    """The ratios of forecast to actual seconds and memory of three runs on a subset; fewer where a run makes no forecast."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = link_subset(data, folder / "images", size, seed)
        train = ["train", str(folder / "images"), "--out", str(folder / "a.twofold"), "--force"]
        predict = ["predict", str(folder / "a.twofold"), str(folder / "images"), "--no-cache"]
        commands = {
            "train": train,
            "train from the cache": train,
            "predict": [*predict, "--out", str(folder / "a.csv")],
        }
        outcomes = [run(f"{data.name} {count} {what}", words, folder / "cache") for what, words in commands.items()]
    return [outcome for outcome in outcomes if outcome is not None]


def link_subset(data: Path, out: Path, size: int, seed: int) -> int:
    """Links a random subset of this size, of each class its fraction; returns the number of images."""
    files = {folder.name: sorted(folder.iterdir()) for folder in sorted(data.iterdir()) if folder.is_dir()}
    total, count = sum(map(len, files.values())), 0
    for name, paths in files.items():
        (out / name).mkdir(parents=True)
        for path in random.Random(seed).sample(paths, min(len(paths), round(size * len(paths) / total))):
            os.symlink(path.resolve(), out / name / path.name)
            count += 1
    return count


def read_all(terminal: int) -> str:
    """What is written until the other side is closed."""
    parts = []
    with suppress(OSError):  # the end, on Linux
        while part := os.read(terminal, 65_536):
            parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode("utf-8", "replace")


def run(what: str, words: list[str], cache: Path) -> tuple[float, float] | None:
    """Runs twofold in a process of its own, prints a line, and returns forecast / actual of seconds and memory."""
    start = time.perf_counter()
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    terminal, stderr = os.openpty()  # forecasts are for terminals
    command = [sys.executable, "-m", "twofold", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    os.close(stderr)
    text = read_all(terminal)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, gigabytes = time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e9
    if status:
        sys.exit(text)
    forecasts = FORECAST.findall(text)
    if not forecasts:
        print(f"{what:40}{'none':>12}{seconds:10.1f}{'':7}{'':13}{gigabytes:11.2f}", flush=True)
        return None
    number, unit, memory, scale = forecasts[0]
    forecast = float(number) * SECONDS[unit], float(memory) / (1 if scale == "GB" else 1000)
    more = "".join(f"  then {value} {unit}" for value, unit, *_ in forecasts[1:])
    ratios = forecast[0] / seconds, forecast[1] / gigabytes
    print(
        f"{what:40}{forecast[0]:12.0f}{seconds:10.1f}{ratios[0]:7.2f}{forecast[1]:13.2f}{gigabytes:11.2f}{ratios[1]:7.2f}{more}",
        flush=True,
    )
    return ratios


if __name__ == "__main__":
    main()
