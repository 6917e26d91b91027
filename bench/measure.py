"""Whole processes, measured; every run is kept as a line of JSON, so that a stopped measurement can go on."""

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

Figures = dict[str, Any]


def run(command: list[str], *, cache: Path | None = None) -> Figures:
    """Wall seconds, peak memory in MB, and stdout: its JSON (the whole, or the last line), else its text.

    A program that fails ends the bench. `cache` is the user's cache folder of that process; where none is given, an empty one
    that is gone afterwards.
    """
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryFile("w+") as out:
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache or empty), "TF_CPP_MIN_LOG_LEVEL": "2"}
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment, text=True)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{said[-2000:]}")
        out.seek(0)
        return {"seconds": seconds, "peak_mb": usage.ru_maxrss * 1024 / 1e6, **_said(out.read())}


def _said(text: str) -> Figures:
    for candidate in (text, text.strip().rpartition("\n")[2]):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, dict):
            return {"json": found}
    return {"text": text}


@dataclass(frozen=True, slots=True)
class Journal:
    """Runs by name, in a file that is only ever appended to."""

    path: Path

    def of(self, name: str) -> list[Figures]:
        """The runs of that name, oldest first."""
        return [run for run in self._all() if run["name"] == name]

    def names(self, beginning: str) -> list[str]:
        """The names that begin so, each once, in the order of their first runs."""
        return list(dict.fromkeys(run["name"] for run in self._all() if run["name"].startswith(beginning)))

    def add(self, name: str, figures: Figures) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **figures}) + "\n")

    def complete(self, name: str, count: int, measure: Callable[[], Figures]) -> None:
        """Measures until there are `count` runs of that name."""
        for number in range(len(self.of(name)), count):
            print(f"{name}: {number + 1} of {count}", flush=True)
            self.add(name, measure())

    def median(self, name: str, *keys: str) -> float:
        """The median over the runs of what stands under `keys`; NaN where there is none."""
        values = [_at(run, keys) for run in self.of(name)]
        return statistics.median(values) if values else float("nan")

    def _all(self) -> Iterator[Figures]:
        if self.path.exists():
            yield from (json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines())


def _at(run: Figures, keys: tuple[str, ...]) -> float:
    value: Any = run
    for key in keys:
        value = value[key]
    return float(value)
