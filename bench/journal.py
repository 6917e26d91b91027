"""Measured processes, and a journal with one line of JSON for each run, so that an interrupted benchmark can continue."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def run(command: list[str], *, cache: Path | None = None) -> Record:
    """Wall seconds, peak memory in MB, and stdout: as JSON (all of it, or its last line), else as text.

    A program that fails ends the benchmark. `cache` is the user's cache folder of the process; by default a temporary one.
    """
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryFile("w+") as out:
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache or empty), "TF_CPP_MIN_LOG_LEVEL": "2"}
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment, text=True)
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{errors[-2000:]}")
        out.seek(0)
        return {"seconds": seconds, "peak_mb": usage.ru_maxrss * 1024 / 1e6, **_parse_output(out.read())}


def _parse_output(text: str) -> Record:
    for candidate in (text, text.strip().rpartition("\n")[2]):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return {"json": value}
    return {"text": text}


@dataclass(frozen=True, slots=True)
class Journal:
    """Records of runs by name, in a file to which lines are only appended."""

    path: Path

    def of(self, name: str) -> list[Record]:
        """The runs of this name, oldest first."""
        return [run for run in self._records() if run["name"] == name]

    def names(self, prefix: str) -> list[str]:
        """The distinct names with this prefix, in the order of their first runs."""
        return list(dict.fromkeys(run["name"] for run in self._records() if run["name"].startswith(prefix)))

    def add(self, name: str, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **record}) + "\n")

    def complete(self, name: str, count: int, measure: Callable[[], Record]) -> None:
        """Measures until there are `count` runs of this name."""
        for number in range(len(self.of(name)), count):
            print(f"{name}: {number + 1} of {count}", flush=True)
            self.add(name, measure())

    def median(self, name: str, *keys: str) -> float:
        """The median over the runs of the value at `keys`; NaN without a run."""
        values = [_value_at(run, keys) for run in self.of(name)]
        return statistics.median(values) if values else float("nan")

    def _records(self) -> Iterator[Record]:
        if self.path.exists():
            yield from (json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines())


def _value_at(run: Record, keys: tuple[str, ...]) -> float:
    value: Any = run
    for key in keys:
        value = value[key]
    return float(value)
