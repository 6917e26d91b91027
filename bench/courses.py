"""Training runs as processes of their own, which are resumed after an interruption."""

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
class Setup:
    """Folders of the photographs, of the work and of the results, and the options that every training run gets."""

    data: Path
    work: Path
    results: Path
    more: tuple[str, ...] = ()

    @property
    def journal(self) -> Journal:
        return Journal(self.work / "runs.jsonl")

    def name(self, *words: str) -> str:
        """The name of a run with these options, in the journal and of its files."""
        return re.sub(r"[^a-z0-9.]+", "-", " ".join((*words, *self.more)).lower()).strip("-")

    def bundle(self, name: str) -> Path:
        return self.work / f"{name}.twofold"

    def train(self, name: str, data: Path, *options: str) -> Figures:
        """`twofold train` to its end. The seconds include interrupted attempts, but not killed ones."""
        run_folder = RunFolder(self.work / f"{name}.learning")
        seconds_file = run_folder.path / "seconds.txt"
        before = float(seconds_file.read_text()) if run_folder.resumable and seconds_file.exists() else 0.0
        out = ["--out", str(self.bundle(name)), "--json", "--resume" if run_folder.resumable else "--force"]
        started = time.perf_counter()
        try:
            result = run([TWOFOLD, "train", str(data), *options, *out], cache=self.work / "cache")
        except BaseException:
            if run_folder.resumable:
                seconds_file.write_text(str(before + time.perf_counter() - started))
                print(f"Interrupted; the same command continues {name}.", file=sys.stderr)
            raise
        seconds_file.unlink(missing_ok=True)
        command = f"twofold train {data.name} {' '.join(_shown(options))} --out {self.bundle(name).name}"
        return {
            "command": command,
            "seconds": before + result["seconds"],
            "peak_mb": result["peak_mb"],
            **_figures(result["json"], before),
        }

    def keep(self, name: str, *files: Path) -> None:
        """Copies small files to the folder of the results."""
        for file in files:
            target = self.results / "curves" / f"{name}{file.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def _figures(output: dict[str, Any], before: float) -> Figures:
    """The figures of the output of `train --json` that go into the journal."""
    evaluations = {name: output[name] for name in ("train", "validation", "cross_validation", "test") if name in output}
    figures: Figures = {
        "evaluations": {
            name: {key: evaluation["metrics"][key]["value"] for key in ("accuracy", "log_loss")}
            for name, evaluation in evaluations.items()
        },
        "test_interval": [output["test"]["metrics"]["accuracy"][end] for end in ("low", "high")]
        if "test" in output
        else [],
        "confusion": output["test"]["confusion"] if "test" in output else {},
        "dtype": output["backbone"]["dtype"],
    }
    if "learning" in output:
        learning = output["learning"]
        seconds = before + output["seconds"]["learn"]
        rate = learning["epochs"] * learning["images"]["train"] / seconds
        figures["learning"] = {**learning, "seconds": seconds, "images_per_second": rate}
    return figures


def _shown(options: tuple[str, ...]) -> list[str]:
    """The options as on the command line; of a path only the name."""
    return [Path(option).name if option.startswith("/") else option for option in options]
