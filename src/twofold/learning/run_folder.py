"""The run folder: checkpoints, so that an interrupted training run can be resumed, and logs."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from twofold.core.errors import UsageError
from twofold.core.files import open_replacement
from twofold.core.options import TrainingOptions
from twofold.dataset.labelled import LabelledDataset

_KEY_FILE = "run.txt"
_WITHOUT_EFFECT: Final = {
    "learning": ("devices", "num_nodes", "pixels_gb"),
    "decision": ("threshold", "optimize", "cost_fp", "cost_fn", "cost_unsure", "promise", "confidence", "abstain"),
}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder beside the bundle. Checkpoints are deleted when the bundle is written; logs stay."""

    path: Path

    @property
    def resumable(self) -> bool:
        """Whether it holds an unfinished training run."""
        return (self.path / _KEY_FILE).exists()

    def prepare(self, *, resume: bool, force: bool) -> None:
        """Raises UsageError where there is nothing to resume, or an unfinished run and neither `resume` nor `force` is set."""
        if resume and not self.resumable:
            raise UsageError(f"{self.path} holds no training run to resume; leave `resume=True` out.")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, not a folder for checkpoints; move it, or use another `out`.")
        if self.resumable and not resume:
            if not force:
                raise UsageError(
                    f"{self.path} holds an unfinished training run; continue it with `resume=True`, or start again with "
                    "`force=True`."
                )
            self.clear()

    def start(self, key: str) -> None:
        """Records the key of the run. Raises UsageError where the folder holds a run with another key."""
        file = self.path / _KEY_FILE
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            with open_replacement(file) as text:  # several processes may start at once
                text.write(key)
        if file.read_text(encoding="utf-8") != key:
            raise UsageError(
                f"The training run in {self.path} had other options or images: use the same ones with `resume=True`, or start "
                "again with `force=True`."
            )

    def clear(self) -> None:
        """Deletes the checkpoints; logs stay."""
        for path in sorted(self.path.glob("**/*.ckpt*")):  # partly written ones, too
            path.unlink()
        (self.path / _KEY_FILE).unlink(missing_ok=True)


def run_key(options: TrainingOptions, dataset: LabelledDataset) -> str:
    """A hash of the run, equal for runs that train the same weights: same images, labels, groups and options.

    Options that change no weight are left out, so that a run can be resumed with other devices or less disk space.
    """
    record = asdict(options)
    for section, names in _WITHOUT_EFFECT.items():
        for name in names:
            del record[section][name]
    hashes = [metadata.sha256 for metadata in dataset.table.metadata if metadata is not None]
    split = [dataset.labels.tolist(), dataset.groups.tolist()]  # these determine which images are held out
    text = json.dumps([record, hashes, split], default=str, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
