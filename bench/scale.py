"""Runs into parts: seconds until a restart at 99% begins, memory, rows once each, and the same bytes after kills.

python bench/scale.py --paths 1000000 --kills 50 --work DIR    # writes DIR: hard links to 50 drawn images, and runs into parts

Each kill -9 hits the driver, which is started again, or the worker alone; the last one the driver at 99%. No network: the
predictor of tests/part_predictors.py answers from the path. Images are listed, not opened.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from part_predictors import part_bytes  # noqa: E402

IMAGES, IN_FOLDER, PART = 50, 1000, 512


def link_images(folder: Path, count: int) -> None:
    """`count` hard links to drawn images, 1,000 in a folder."""
    originals = folder.parent / "originals"
    originals.mkdir(parents=True)
    random_state = np.random.default_rng(0)
    for number in range(IMAGES):
        Image.fromarray(random_state.integers(0, 255, (32, 32, 3), np.uint8)).save(originals / f"{number}.png")
    for number in range(count):
        if number % IN_FOLDER == 0:
            (folder / f"{number // IN_FOLDER:05}").mkdir(parents=True)
        os.link(originals / f"{number % IMAGES}.png", folder / f"{number // IN_FOLDER:05}" / f"{number:08}.png")


def start(images: Path, out: Path, processes: Path) -> "subprocess.Popen[bytes]":
    shutil.rmtree(processes, ignore_errors=True)
    processes.mkdir()
    return subprocess.Popen(
        [sys.executable, str(TESTS / "part_predictors.py"), str(images), str(out), str(processes), "0"]
    )


def finished(out: Path) -> int:
    folder = out / "parts"
    return sum(name.endswith(".parquet") for name in os.listdir(folder)) if folder.is_dir() else 0


def peak_memory(process: int) -> int:
    """In megabytes, 0 where the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1000
    except (OSError, IndexError):
        return 0


def watch(run: "subprocess.Popen[bytes]", out: Path, until: int) -> tuple[float, int]:
    """Seconds until a further part is finished, and the peak memory of the driver until `until` parts are."""
    began, before, first, memory = time.perf_counter(), finished(out), 0.0, 0
    while run.poll() is None:
        memory = max(memory, peak_memory(run.pid))
        count = finished(out)
        if count > before and not first:
            first = time.perf_counter() - began
        if count >= until:
            break
        time.sleep(0.02)
    return first, memory


def workers(processes: Path) -> list[int]:
    """The worker processes that are running."""
    numbers = [int(entry.name) for entry in processes.iterdir()]
    return [number for number in numbers if peak_memory(number)]  # a zombie has none


def kill_at(images: Path, out: Path, processes: Path, parts: int, targets: list[int]) -> None:
    """Kills the driver or the worker, as chance has it, each time when so many parts are finished; at the end the driver."""
    random_state, run = random.Random(1), start(images, out, processes)
    kills = {"driver": 0, "worker": 0}
    for target in targets:
        if run.poll() is not None:
            run = start(images, out, processes)
        watch(run, out, target)
        time.sleep(random_state.uniform(0, 0.05))
        running = workers(processes)
        if target < targets[-1] and running and random_state.random() < 0.5:
            os.kill(running[0], signal.SIGKILL)
            kills["worker"] += 1
        else:
            run.kill()
            run.wait()
            kills["driver"] += 1
    print(
        f"killed {kills['driver']} drivers and {kills['worker']} workers; {finished(out)} of {parts} parts finished",
        flush=True,
    )


def check_rows(out: Path, count: int) -> bool:
    from pyarrow import parquet

    paths = [
        path
        for file in (out / "parts").iterdir()
        for path in parquet.read_table(file, columns=["path"])["path"].to_pylist()
    ]
    return len(paths) == len(set(paths)) == count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    images, out, whole, processes = (options.work / name for name in ("images", "out", "whole", "processes"))
    parts = -(-options.paths // PART)
    if not images.exists():
        began = time.perf_counter()
        link_images(images, options.paths)
        print(f"{options.paths:,} links made in {time.perf_counter() - began:.0f} s", flush=True)
    for folder in (out, whole):
        shutil.rmtree(folder, ignore_errors=True)

    began = time.perf_counter()
    run = start(images, whole, processes)
    first, memory = watch(run, whole, parts + 1)
    print(
        f"uninterrupted: first part after {first:.1f} s, {memory} MB in the driver, {time.perf_counter() - began:.0f} s in all"
    )

    targets = sorted(random.Random(0).sample(range(1, int(parts * 0.99)), options.kills - 1))
    kill_at(images, out, processes, parts, [*targets, int(parts * 0.99)])
    run = start(images, out, processes)
    first, memory = watch(run, out, parts + 1)
    print(
        f"restart at 99%: next part on the disk after {first:.1f} s, {memory} MB in the driver; exit code {run.wait()}"
    )
    print(f"each of {options.paths:,} paths in one row: {check_rows(out, options.paths)}")
    print(f"parts byte-equal to the uninterrupted run: {part_bytes(out) == part_bytes(whole)}")


if __name__ == "__main__":
    main()
