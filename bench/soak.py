"""`make soak`: 50,000 pictures through two engines, one after another, then Ctrl-C in the middle of trainings.

    python bench/soak.py [--pictures 50000] [--interrupts 8]

Looks for what only time shows: a crash, memory that grows, a vector that differs from one pass to the next, a process
that does not end, a half-written bundle. The pictures are drawn.
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

DIFFERENT = 500
TWOFOLD = str(Path(sys.executable).with_name("twofold"))


def draw(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for number in range(DIFFERENT):
        path = folder / ("dark" if number % 2 else "light") / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = random.integers(0, 128, (24, 32, 3)) + (0 if number % 2 else 127)
        Image.fromarray(coarse.astype(np.uint8)).resize((440, 375), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def resident() -> int:
    """Megabytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def one_engine(paths: list[Path], count: int, dtype: str) -> None:
    engine = Engine(load_backbone(BackboneOptions(), dtype, cache=Path()))
    stream = itertools.islice(itertools.cycle(paths), count)
    first: dict[int, bytes] = {}
    early = 0
    started = time.perf_counter()
    for number, seen in enumerate(embed(stream, engine)):
        assert seen.features is not None, seen.read_error
        features = seen.features.tobytes()
        assert first.setdefault(number % DIFFERENT, features) == features, (
            f"picture {number} has another vector this time"
        )
        if number == 10 * DIFFERENT:
            early = resident()
    rate = count / (time.perf_counter() - started)
    print(
        f"{dtype}: {count:,} pictures, {rate:.0f}/s, memory {early} MB early, {resident()} MB at the end",
        flush=True,
    )
    assert early == 0 or resident() < early + 100, "memory grows"


def interrupted(images: Path, folder: Path, seconds: float) -> None:
    out = folder / "soak.twofold"
    command = [TWOFOLD, "train", str(images), "--out", str(out), "--no-cache"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    print(f"Ctrl-C after {seconds:.1f} s: exit {process.returncode}", flush=True)
    assert process.returncode > 0, f"ended with {process.returncode}"  # below 0: killed by a signal, as crashes are
    assert "Traceback" not in said, said
    assert not list(folder.iterdir()), "something half-written was left"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--interrupts", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as images, tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(images))
        for dtype in ("int8", "f32"):
            one_engine(paths, given.images // 2, dtype)
        for number in range(given.interrupts):
            interrupted(Path(images), Path(folder), 0.5 + 0.4 * number)
    print("All held.")


if __name__ == "__main__":
    main()
