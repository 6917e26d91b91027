"""`make fuzz`: damaged files by the million through `look()`, ten thousand a process, until the time is up.

    python bench/fuzz.py [--minutes 30] [--first SEED] [--processes 2]

Ends with 1 where a process crashed, wrote to stderr or grew; `python tests/data/fuzz.py --seed SEED --trace` finds the file.
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

PROGRAM = Path(__file__).parents[1] / "tests" / "data" / "fuzz.py"
GROWN = 32_000_000  # bytes


def portion(seed: int) -> tuple[dict[str, Any], str]:
    """What the ten thousand files of this seed gave, and what is wrong with it."""
    done = subprocess.run([sys.executable, PROGRAM, "--seed", str(seed)], capture_output=True, text=True)
    if done.returncode or done.stderr:
        return {}, f"seed {seed} ended with {done.returncode}: {done.stderr[-2000:]}"
    outcome = json.loads(done.stdout)
    return outcome, f"seed {seed} took {outcome['grown']:,} bytes more" if outcome["grown"] > GROWN else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--first", type=int, default=time.time_ns() // 1_000_000 % 1_000_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    end, codes, faults = time.monotonic() + given.minutes * 60, Counter[str](), 0
    slowest, grown = 0.0, 0
    with ThreadPoolExecutor(given.processes) as pool:
        for first in itertools.count(given.first, given.processes):
            if time.monotonic() > end:
                break
            for outcome, fault in pool.map(portion, range(first, first + given.processes)):
                codes.update(outcome.get("codes", {}))
                slowest = max(slowest, outcome.get("slowest", [0])[0])
                grown = max(grown, outcome.get("grown", 0))
                if fault:
                    print(fault, flush=True)
                    faults += 1
    print(
        f"{codes.total():,} files, slowest {slowest:.2f} s, memory +{grown / 1e6:.0f} MB: {dict(codes.most_common())}"
    )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
