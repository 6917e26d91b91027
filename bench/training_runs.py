"""Training runs in processes of their own, which are resumed after an interruption."""

import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal import Journal, Record, run
from measurements import TWOFOLD

from twofold.learning.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """The photographs, the folders for work and results, and options for every training run."""

    data: Path
    work: Path
    results: Path
    options: tuple[str, ...] = ()

    @property
    def journal(self) -> Journal:
        return Journal(self.work / "runs.jsonl")

    def name(self, *words: str) -> str:
        """The name of a run with these options, for the journal and for files."""
        return re.sub(r"[^a-z0-9.]+", "-", " ".join((*words, *self.options)).lower()).strip("-")

    def bundle(self, name: str) -> Path:
        return self.work / f"{name}.twofold"

    def train(self, name: str, data: Path, *options: str) -> Record:
        """`twofold train` until it is done. The seconds include interrupted attempts, but not killed ones."""
        run_folder = RunFolder(self.work / f"{name}.learning")
        seconds_file = run_folder.path / "seconds.txt"
        earlier_seconds = float(seconds_file.read_text()) if run_folder.resumable and seconds_file.exists() else 0.0
        out = ["--out", str(self.bundle(name)), "--json", "--resume" if run_folder.resumable else "--force"]
        start = time.perf_counter()
        try:
            result = run([TWOFOLD, "train", str(data), *options, *out], cache=self.work / "cache")
        except BaseException:
            if run_folder.resumable:
                seconds_file.write_text(str(earlier_seconds + time.perf_counter() - start))
                print(f"Interrupted; the same command continues {name}.", file=sys.stderr)
            raise
        seconds_file.unlink(missing_ok=True)
        command = f"twofold train {data.name} {' '.join(_readable(options))} --out {self.bundle(name).name}"
        return {
            "command": command,
            "seconds": earlier_seconds + result["seconds"],
            "peak_mb": result["peak_mb"],
            **_metrics(result["json"], earlier_seconds),
        }

    def copy_curves(self, name: str, *files: Path) -> None:
        """Copies files to the folder `curves` of the results."""
        for file in files:
            target = self.results / "curves" / f"{name}{file.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def _metrics(output: dict[str, Any], earlier_seconds: float) -> Record:
    """The parts of the output of `train --json` that are recorded in the journal."""
    evaluations = {name: output[name] for name in ("train", "validation", "cross_validation", "test") if name in output}
    record: Record = {
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
        seconds = earlier_seconds + output["seconds"]["learn"]
        rate = learning["epochs"] * learning["images"]["train"] / seconds
        record["learning"] = {**learning, "seconds": seconds, "images_per_second": rate}
    return record


def _readable(options: tuple[str, ...]) -> list[str]:
    """The options as on the command line, paths as file names."""
    return [Path(option).name if option.startswith("/") else option for option in options]
