"""Where learning keeps its checkpoints, so that it can go on after it was broken off."""

from dataclasses import dataclass
from pathlib import Path

from twofold.core.errors import UsageError
from twofold.core.files import replacing

_BEGUN = "begun.txt"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder beside the bundle: checkpoints until that is written, and logs, which stay."""

    folder: Path

    @property
    def begun(self) -> bool:
        """Whether there is learning that can be gone on with."""
        return (self.folder / _BEGUN).exists()

    def prepare(self, *, resume: bool, force: bool) -> None:
        """UsageError where learning was begun and it is not said whether to go on or to start anew, or the other way round."""
        if resume and not self.begun:
            raise UsageError(f"There is nothing to resume in {self.folder}; leave --resume out.")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(
                f"{self.folder} is a file, where checkpoints are to be kept; move it, or pass another --out."
            )
        if self.begun and not resume:
            if not force:
                raise UsageError(
                    f"Learning was begun in {self.folder}; go on with --resume, or start anew with --force."
                )
            self.clear()

    def begin(self, key: str) -> None:
        """Notes what is learned; UsageError where `key` is not that of what was begun here."""
        file = self.folder / _BEGUN
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as begun:  # several processes may begin at once
                begun.write(key)
        if file.read_text(encoding="utf-8") != key:
            raise UsageError(
                f"What was begun in {self.folder} had other options or pictures: give the same again with --resume, "
                "or start anew with --force."
            )

    def clear(self) -> None:
        """Takes the checkpoints away; logs stay."""
        for path in sorted(self.folder.glob("**/*.ckpt*")):  # also one that was being written
            path.unlink()
        (self.folder / _BEGUN).unlink(missing_ok=True)
