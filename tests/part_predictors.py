"""A predictor without a network, for workers: its answers follow from paths, and some images end its process."""

import os
import signal
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from twofold.bundle.model import Prediction
from twofold.core.notes import Note
from twofold.core.progress import no_progress
from twofold.workflows.scale.prediction_rows import PredictionFormat
from twofold.workflows.scale.run_parts import PartsResult, compute_parts

MODEL = "a" * 64


@dataclass(frozen=True)
class PathPredictor:
    """Opens itself. An image with "killer" in its path ends the process, one with "once" only the first time.

    Each process writes an empty file with its number into `processes`; `seconds` is how long a part takes.
    """

    processes: Path
    seconds: float = 0
    notes: ClassVar[tuple[Note, ...]] = (Note("drawn", "The answers follow from the paths."),)

    def __call__(self) -> Any:
        (self.processes / str(os.getpid())).touch()
        return nullcontext(self)

    def stream(self, sources: Iterable[Path | bytes]) -> Iterator[Prediction]:
        paths = [source.decode() if isinstance(source, bytes) else str(source) for source in sources]
        for path in paths:
            if "killer" in path or ("once" in path and not (self.processes / "once").exists()):
                (self.processes / "once").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            probability = zlib.crc32(path.encode()) / 2**32
            yield Prediction(path, ("bars", "rings")[probability >= 0.5], probability, None, 2 * probability - 1, None)
        time.sleep(self.seconds if len(paths) > 1 else 0)


def predict_paths(
    sources: list[Path], out: Path, processes: Path, seconds: float = 0, model: str = MODEL
) -> PartsResult:
    """The run of this predictor with the local engine."""
    processes.mkdir(exist_ok=True)
    names, predictor = [str(source) for source in sources], PathPredictor(processes, seconds)
    return compute_parts(names, out, predictor, PredictionFormat(), model, {"bundle": model}, "local", no_progress)


def write_list(path: Path, names: Iterable[str]) -> Path:
    """A text list of these paths."""
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path


def part_bytes(out: Path) -> dict[str, bytes]:
    """The content of each file of a part, by its name."""
    return {file.name: file.read_bytes() for file in (out / "parts").iterdir()}


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of all parts, by path."""
    from pyarrow import parquet

    tables = [parquet.read_table(file).to_pylist() for file in (out / "parts").iterdir()]
    return sorted((row for table in tables for row in table), key=lambda row: str(row["path"]))


if __name__ == "__main__":
    source, folder, numbers, pause = sys.argv[1:]
    predict_paths([Path(source)], Path(folder), Path(numbers), float(pause))
