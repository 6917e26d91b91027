"""Hostile bundles in `twofold predict`, each in a process with 10 GB of address space and 20 seconds.

    python bench/hostile_bundles.py [--count 300] [--first 0] [--processes 2]

`tests/hostile.py` draws each bundle from an honest one. Each process must end with one sentence of an error, or with the
predictions of the honest bundle. It must not read or write a file outside of the bundle, nor change the predictions of the honest
bundle through the cache. Exits with 1 otherwise.
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

MEMORY, SECONDS = 10 * 2**30, 20
COMMAND = (sys.executable, "-m", "twofold", "predict")
IMAGES = ("images/bars/bars-001.png", "images/rings/rings-003.png")


@dataclass(frozen=True)
class Outcome:
    bundle: str
    result: str  # "refused", "equal predictions" or a fault
    seconds: float
    message: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = honest(folder)
        (folder / "folder").mkdir()
        for secret in (folder / SECRET, folder / "folder" / SECRET):
            secret.write_bytes(b"\x00\x00\x80\x3f" * 10_000)
        expected, numbers = run(folder, bundle).stdout, range(arguments.first, arguments.first + arguments.count)
        assert expected.count("\n") == 1 + len(IMAGES), "the honest bundle has no predictions"
        with ThreadPoolExecutor(arguments.processes) as pool:
            outcomes = list(pool.map(lambda number: run_hostile(folder, bundle, number, expected), numbers))
        repeated = run(folder, bundle).stdout
    return report(outcomes, poisoned=repeated != expected)


def run(folder: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    """The process of the command in this folder, with a cache in it."""
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}
    return subprocess.run(
        [*COMMAND, bundle.name, *IMAGES, "--quiet"],
        cwd=folder,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def run_hostile(folder: Path, bundle: Path, number: int, expected: str) -> Outcome:
    run_folder = folder / f"run-{number}"
    run_folder.mkdir()
    for name in ("images", "folder", "home", SECRET):  # all runs share the cache; each has a copy of the other files
        (folder / "home").mkdir(exist_ok=True)
        if name == "home":
            (run_folder / name).symlink_to(folder / name)
        else:
            (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, run_folder / name)
    path, description = draw_hostile(bundle, run_folder, number)
    secrets = (
        [run_folder / SECRET, run_folder / "folder" / SECRET] if "a link to a file beside" not in description else []
    )
    for secret in secrets:
        os.utime(secret, (0, time.time()))  # a later time of access means that it was read
    files_before, start = list_files(run_folder), time.perf_counter()
    try:
        process = run(run_folder, path)
        result, message = judge(process, expected), process.stderr.strip()
    except subprocess.TimeoutExpired:
        result, message = "took too long", ""
    seconds = time.perf_counter() - start
    if any(secret.stat().st_atime for secret in secrets):
        result = "read a file outside"
    if list_files(run_folder) != files_before:
        result = "wrote a file"
    shutil.rmtree(run_folder)
    return Outcome(description, result, seconds, message)


def judge(process: subprocess.CompletedProcess[str], expected: str) -> str:
    if process.returncode == 0:
        return "equal predictions" if process.stdout == expected else "other predictions"
    one_sentence = (
        process.returncode == 1 and process.stderr.startswith("twofold: ") and process.stderr.count("\n") == 1
    )
    no_rows = process.stdout.count("\n") <= 1  # the header is written before the network is compiled
    return "refused" if one_sentence and no_rows else f"ended with {process.returncode}"


def list_files(folder: Path) -> list[tuple[str, int]]:
    """Every file with the time of its last change, without the cache."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def report(outcomes: list[Outcome], *, poisoned: bool) -> int:
    counts = Counter((outcome.bundle.partition(":")[0], outcome.result) for outcome in outcomes)
    print(f"{'file':<18}{'result':<22}{'bundles':>8}")
    for (file, result), count in sorted(counts.items()):
        print(f"{file:<18}{result:<22}{count:>8}")
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    print(f"{len(outcomes)} bundles; the slowest took {slowest.seconds:.1f} s ({slowest.bundle})")
    faults = [outcome for outcome in outcomes if outcome.result not in ("refused", "equal predictions")]
    for fault in faults:
        print(f"FAULT {fault.bundle}: {fault.result}: {fault.message[-300:]}")
    if poisoned:
        print("FAULT: the honest bundle has other predictions afterwards")
    return int(bool(faults) or poisoned)


if __name__ == "__main__":
    sys.exit(main())
