"""fetch: from an address or an archive to a folder of labelled images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.options import DataOptions
from twofold.core.privacy import public_address
from twofold.data import SplitPlan, find_splits, list_labelled_files, plan_splits
from twofold.embedding import Runtime
from twofold.fetching import UnpackedFiles, check_out, find_local_data, unpack


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """A folder that can be trained on or evaluated on, and the number of files in each class."""

    path: Path
    counts: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """{"path", "counts"}."""
        return {"path": str(self.path), "counts": self.counts}


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What was unpacked into the folder `out`.

    `folders` are its splits, or the folder itself, where they hold two classes. `plan` says which of them to train and evaluate
    on, None where there are none. `source` has no user names or keys.
    """

    source: str
    out: Path
    sha256: str | None
    unpacked: UnpackedFiles
    folders: tuple[LabelledFolder, ...]
    plan: SplitPlan | None
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "source": self.source,
            "out": str(self.out),
            "sha256": self.sha256,
            "files": self.unpacked.files,
            "bytes": self.unpacked.bytes,
            "skipped": dict(sorted(self.unpacked.skipped.items())),
            "data": [folder.as_json() for folder in self.folders],
            "notes": [asdict(note) for note in self.notes],
        }


def fetch(source: str, out: Path, runtime: Runtime, *, sha256: str | None = None) -> FetchResult:
    """Downloads SOURCE, checks its hash where one is given, and unpacks it into the new folder OUT.

    Raises UsageError where OUT cannot be made, DataError where SOURCE cannot be read or has another hash.
    """
    check_out(out)
    download = find_local_data(source, runtime.folder, runtime.progress, sha256=sha256 and sha256.lower())
    unpacked = unpack(download.path, out, runtime.progress)
    folders, notes = _list_folders(find_splits(out) or [out])
    plan = plan_splits([folder.path for folder in folders]) if folders else None
    return FetchResult(public_address(source), out, download.sha256, unpacked, tuple(folders), plan, tuple(notes))


def _list_folders(paths: Sequence[Path]) -> tuple[list[LabelledFolder], list[Note]]:
    folders, notes = [], []
    for path in paths:
        try:
            files = list_labelled_files(path, DataOptions()).files
            folders.append(LabelledFolder(path, dict(sorted(Counter(file.label for file in files).items()))))
        except DataError as error:
            notes.append(Note("not-two-classes", str(error)))
    return folders, notes
