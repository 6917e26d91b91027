"""Hostile bundles through `twofold predict`, each in a process with 10 GB of address space and 20 seconds.

    python bench/hostile.py [--count 300] [--first 0] [--processes 2]

Each must end with one clear sentence, or answer as the honest bundle does that it was made from (`tests/hostile.py` draws them);
no file outside of it may be read or written, and what the runs leave in the cache must not change the honest answers. Ends with 1
where one did not.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile import SECRET, draw_hostile, honest

ROOM, SECONDS = 10 * 2**30, 20
COMMAND = (sys.executable, "-m", "twofold", "predict")
IMAGES = ("images/bars/bars-001.png", "images/rings/rings-003.png")


@dataclass(frozen=True)
class Outcome:
    what: str
    end: str  # "refused", "answered" or a fault
    seconds: float
    message: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = honest(folder)
        (folder / "folder").mkdir()
        for secret in (folder / SECRET, folder / "folder" / SECRET):
            secret.write_bytes(b"\x00\x00\x80\x3f" * 10_000)
        answers, numbers = run(folder, bundle).stdout, range(given.first, given.first + given.count)
        assert answers.count("\n") == 1 + len(IMAGES), "the honest bundle does not answer"
        with ThreadPoolExecutor(given.processes) as pool:
            outcomes = list(pool.map(lambda number: tried(folder, bundle, number, answers), numbers))
        again = run(folder, bundle).stdout
    return report(outcomes, poisoned=again != answers)


def run(folder: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    """What the command does, from this folder, with a cache in it."""
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}
    return subprocess.run(
        [*COMMAND, bundle.name, *IMAGES, "--quiet"],
        cwd=folder,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM)),
    )


def tried(folder: Path, bundle: Path, number: int, answers: str) -> Outcome:
    own = folder / f"run-{number}"
    own.mkdir()
    for name in ("images", "folder", "home", SECRET):  # the cache is everybody's; the rest each has for itself
        (folder / "home").mkdir(exist_ok=True)
        if name == "home":
            (own / name).symlink_to(folder / name)
        else:
            (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, own / name)
    path, what = draw_hostile(bundle, own, number)
    secrets = [own / SECRET, own / "folder" / SECRET] if "a link to a file beside" not in what else []
    for secret in secrets:
        os.utime(secret, (0, time.time()))  # read since, where its time of access is another
    before, start = listed(own), time.perf_counter()
    try:
        done = run(own, path)
        end, message = judged(done, answers), done.stderr.strip()
    except subprocess.TimeoutExpired:
        end, message = "took too long", ""
    seconds = time.perf_counter() - start
    if any(secret.stat().st_atime for secret in secrets):
        end = "read a file outside"
    if listed(own) != before:
        end = "wrote a file"
    shutil.rmtree(own)
    return Outcome(what, end, seconds, message)


def judged(done: subprocess.CompletedProcess[str], answers: str) -> str:
    if done.returncode == 0:
        return "answered" if done.stdout == answers else "answered otherwise"
    clear = done.returncode == 1 and done.stderr.startswith("twofold: ") and done.stderr.count("\n") == 1
    return "refused" if clear and not done.stdout else f"ended with {done.returncode}"


def listed(folder: Path) -> list[tuple[str, int]]:
    """Every file but the cache, with the time of its last change."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def report(outcomes: list[Outcome], *, poisoned: bool) -> int:
    counts = Counter((outcome.what.partition(":")[0], outcome.end) for outcome in outcomes)
    print(f"{'file':<14}{'end':<22}{'bundles':>8}")
    for (file, end), count in sorted(counts.items()):
        print(f"{file:<14}{end:<22}{count:>8}")
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    print(f"{len(outcomes)} bundles; the slowest took {slowest.seconds:.1f} s ({slowest.what})")
    faults = [outcome for outcome in outcomes if outcome.end not in ("refused", "answered")]
    for fault in faults:
        print(f"FAULT {fault.what}: {fault.end}: {fault.message[-300:]}")
    if poisoned:
        print("FAULT: the honest bundle answers otherwise afterwards")
    return int(bool(faults) or poisoned)


if __name__ == "__main__":
    sys.exit(main())
