"""`make fuzz`: damaged files, hostile archives and hostile servers, some thousands per process, until the time is over.

    python bench/fuzz.py [--minutes 30] [--first SEED] [--processes 2]

Exits with 1 if a process crashes, writes to stderr or grows; `cd tests; python -m PROGRAM --seed SEED --trace` finds the file.
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
"""The programs, with the bytes by which the memory may grow; writing Parquet files needs some."""


def run_program(seed: int) -> tuple[str, dict[str, Any], str]:
    """The program for this seed, its outcome, and the fault, empty without one."""
    program = list(PROGRAMS)[seed % len(PROGRAMS)]
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    command, environment = [sys.executable, "-m", program, "--seed", str(seed)], {**os.environ, "PYTHONPATH": paths}
    process = subprocess.run(command, capture_output=True, text=True, cwd=TESTS, env=environment)
    if process.returncode or process.stderr:
        return program, {}, f"{program} with seed {seed} ended with {process.returncode}: {process.stderr[-2000:]}"
    outcome = json.loads(process.stdout)
    fault = f"{program} with seed {seed} grew by {outcome['growth']:,} bytes"
    return program, outcome, fault if outcome["growth"] > PROGRAMS[program] else ""


def summary(outcomes: list[dict[str, Any]]) -> str:
    codes: Counter[str] = Counter()
    for outcome in outcomes:
        codes.update(outcome["codes"])
    slowest = max((outcome["slowest"][0] for outcome in outcomes), default=0.0)
    growth = max((outcome["growth"] for outcome in outcomes), default=0)
    return (
        f"{codes.total():,} files, slowest {slowest:.2f} s, memory +{growth / 1e6:.0f} MB: {dict(codes.most_common())}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--first", type=int, default=time.time_ns() // 1_000_000 % 1_000_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    end, faults = time.monotonic() + arguments.minutes * 60, 0
    outcomes: dict[str, list[dict[str, Any]]] = {program: [] for program in PROGRAMS}
    with ThreadPoolExecutor(arguments.processes) as pool:
        for first in itertools.count(arguments.first, arguments.processes):
            if time.monotonic() > end:
                break
            for program, outcome, fault in pool.map(run_program, range(first, first + arguments.processes)):
                outcomes[program] += [outcome] if outcome else []
                if fault:
                    print(fault, flush=True)
                    faults += 1
    for program, program_outcomes in outcomes.items():
        print(f"{program}: {summary(program_outcomes)}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
