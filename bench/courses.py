"""Trainings in which the network learns, as whole processes that go on where they were broken off."""

import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import TWOFOLD
from measure import Figures, Journal, run

from twofold.learning.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Given:
    """Where the photographs are, where to work, where the results go, and the options that each training is handed."""

    data: Path
    work: Path
    results: Path
    more: tuple[str, ...] = ()

    @property
    def journal(self) -> Journal:
        return Journal(self.work / "runs.jsonl")

    def name(self, *words: str) -> str:
        """A name for a course with these options and those that are handed on: in the journal, and of its files."""
        return re.sub(r"[^a-z0-9.]+", "-", " ".join((*words, *self.more)).lower()).strip("-")

    def bundle(self, name: str) -> Path:
        return self.work / f"{name}.twofold"

    def train(self, name: str, data: Path, *options: str) -> Figures:
        """`twofold train` to its end, whose seconds are those of all its parts; parts that were killed by force count nothing."""
        place = RunFolder(self.work / f"{name}.learning")
        spent = place.folder / "seconds.txt"
        before = float(spent.read_text()) if place.begun and spent.exists() else 0.0
        out = ["--out", str(self.bundle(name)), "--json", "--resume" if place.begun else "--force"]
        started = time.perf_counter()
        try:
            done = run([TWOFOLD, "train", str(data), *options, *out], cache=self.work / "cache")
        except BaseException:
            if place.begun:
                spent.write_text(str(before + time.perf_counter() - started))
                print(f"Broken off; the same command goes on with {name}.", file=sys.stderr)
            raise
        spent.unlink(missing_ok=True)
        command = f"twofold train {data.name} {' '.join(_shown(options))} --out {self.bundle(name).name}"
        return {
            "command": command,
            "seconds": before + done["seconds"],
            "peak_mb": done["peak_mb"],
            **_kept(done["json"], before),
        }

    def keep(self, name: str, *files: Path) -> None:
        """Copies what is small into the folder of the results."""
        for file in files:
            target = self.results / "curves" / f"{name}{file.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def _kept(said: dict[str, Any], before: float) -> Figures:
    """What the journal keeps of what `train --json` said."""
    parts = {name: said[name] for name in ("train", "validation", "cross_validation", "test") if name in said}
    kept: Figures = {
        "parts": {
            name: {key: part["metrics"][key]["value"] for key in ("accuracy", "log_loss")}
            for name, part in parts.items()
        },
        "test_interval": [said["test"]["metrics"]["accuracy"][end] for end in ("low", "high")]
        if "test" in said
        else [],
        "confusion": said["test"]["confusion"] if "test" in said else {},
        "dtype": said["backbone"]["dtype"],
    }
    if "learning" in said:
        learned = said["learning"]
        seconds = before + said["seconds"]["learn"]
        rate = learned["epochs"] * learned["images"]["train"] / seconds
        kept["learning"] = {**learned, "seconds": seconds, "pictures_per_second": rate}
    return kept


def _shown(options: tuple[str, ...]) -> list[str]:
    """The options as anyone would give them: of a path, the name alone."""
    return [Path(option).name if option.startswith("/") else option for option in options]
