"""`make fuzz`: damaged files, hostile archives and hostile servers, some thousands a process, until the time is up.

    python bench/fuzz.py [--minutes 30] [--first SEED] [--processes 2]

Ends with 1 where a process crashed, wrote to stderr or grew; `cd tests; python -m PROGRAM --seed SEED --trace` finds the file.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
PROGRAMS = {"data.fuzz": 32_000_000, "data.fuzz_archives": 250_000_000, "fetching.fuzz_servers": 32_000_000}
"""Each with the bytes by which it may grow; making Parquet files takes some."""


def portion(seed: int) -> tuple[str, dict[str, Any], str]:
    """The program whose turn it is, what the files of this seed gave in it, and what is wrong with that."""
    program = list(PROGRAMS)[seed % len(PROGRAMS)]
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    words, environment = [sys.executable, "-m", program, "--seed", str(seed)], {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(words, capture_output=True, text=True, cwd=TESTS, env=environment)
    if done.returncode or done.stderr:
        return program, {}, f"{program} with seed {seed} ended with {done.returncode}: {done.stderr[-2000:]}"
    outcome = json.loads(done.stdout)
    grown = f"{program} with seed {seed} took {outcome['growth']:,} bytes more"
    return program, outcome, grown if outcome["growth"] > PROGRAMS[program] else ""


def summary(outcomes: list[dict[str, Any]]) -> str:
    codes: Counter[str] = Counter()
    for outcome in outcomes:
        codes.update(outcome["codes"])
    slowest = max((outcome["slowest"][0] for outcome in outcomes), default=0.0)
    grown = max((outcome["growth"] for outcome in outcomes), default=0)
    return (
        f"{codes.total():,} files, slowest {slowest:.2f} s, memory +{grown / 1e6:.0f} MB: {dict(codes.most_common())}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--first", type=int, default=time.time_ns() // 1_000_000 % 1_000_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    end, faults = time.monotonic() + given.minutes * 60, 0
    outcomes: dict[str, list[dict[str, Any]]] = {program: [] for program in PROGRAMS}
    with ThreadPoolExecutor(given.processes) as pool:
        for first in itertools.count(given.first, given.processes):
            if time.monotonic() > end:
                break
            for program, outcome, fault in pool.map(portion, range(first, first + given.processes)):
                outcomes[program] += [outcome] if outcome else []
                if fault:
                    print(fault, flush=True)
                    faults += 1
    for program, found in outcomes.items():
        print(f"{program}: {summary(found)}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
