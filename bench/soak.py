"""`make soak`: 50,000 images through two engines, one after another, then Ctrl-C during trainings.

    python bench/soak.py [--images 50000] [--interrupts 8]

Checks for crashes, growing memory, features that differ between passes, processes that do not end, and partial bundles.
The images are drawn.
"""

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from twofold.core.options import BackboneOptions
from twofold.embedding import Engine
from twofold.embedding.embed import embed
from twofold.networks import load_backbone

DISTINCT = 500
TWOFOLD = str(Path(sys.executable).with_name("twofold"))


def draw(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for number in range(DISTINCT):
        path = folder / ("dark" if number % 2 else "light") / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = random.integers(0, 128, (24, 32, 3)) + (0 if number % 2 else 127)
        Image.fromarray(coarse.astype(np.uint8)).resize((440, 375), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def resident_mb() -> int:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def run_engine(paths: list[Path], count: int, dtype: str) -> None:
    engine = Engine(load_backbone(BackboneOptions(), dtype, cache=Path()))
    stream = itertools.islice(itertools.cycle(paths), count)
    first: dict[int, bytes] = {}
    early_memory = 0
    start = time.perf_counter()
    for number, row in enumerate(embed(stream, engine)):
        assert row.features is not None, row.read_error
        features = row.features.tobytes()
        assert first.setdefault(number % DISTINCT, features) == features, (
            f"image {number} has other features in this pass"
        )
        if number == 10 * DISTINCT:
            early_memory = resident_mb()
    rate = count / (time.perf_counter() - start)
    print(
        f"{dtype}: {count:,} images, {rate:.0f}/s, memory {early_memory} MB early, {resident_mb()} MB at the end",
        flush=True,
    )
    assert early_memory == 0 or resident_mb() < early_memory + 100, "memory grows"


def interrupt_training(images: Path, folder: Path, seconds: float) -> None:
    out = folder / "soak.twofold"
    command = [TWOFOLD, "train", str(images), "--out", str(out), "--no-cache"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    print(f"Ctrl-C after {seconds:.1f} s: exit {process.returncode}", flush=True)
    assert process.returncode > 0, f"ended with {process.returncode}"  # below 0: killed by a signal, as crashes are
    assert "Traceback" not in stderr, stderr
    assert not list(folder.iterdir()), "a partial bundle was left"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--interrupts", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as images, tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(images))
        for dtype in ("int8", "f32"):
            run_engine(paths, arguments.images // 2, dtype)
        for number in range(arguments.interrupts):
            interrupt_training(Path(images), Path(folder), 0.5 + 0.4 * number)
    print("All checks passed.")


if __name__ == "__main__":
    main()
