"""The folder of a run: which bundle and options it is of, and the lock that one process at a time holds."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import DataError, UsageError
from twofold.core.files import check_writable, open_replacement, write_errors
from twofold.core.folder_lock import hold_folder
from twofold.core.json_text import json_text
from twofold.workflows.scale.part_files import PARTS, clear_temporary

RECORD: Final = "run.json"
_FORMAT: Final = 1
_MAX_BYTES: Final = 1_000_000


@contextmanager
def open_output(folder: Path, record: Mapping[str, Any]) -> Iterator[Path]:
    """The folder of parts in `folder`, which is locked until the block ends. A new folder is made; one of the same run goes on.

    `record` is what the predictions depend on: the bundle and the options. Raises UsageError where the folder is of another run,
    where it holds other files, or where another process is writing to it.
    """
    _check_folder(folder)
    with write_errors(folder):
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
    with hold_folder(folder):
        for leftover in [entry for entry in folder.iterdir() if _is_leftover(entry.name)]:
            leftover.unlink(missing_ok=True)
        _check_record(folder / RECORD, {"format": _FORMAT, **record})
        clear_temporary(folder / PARTS)
        try:
            yield folder / PARTS
        finally:
            clear_temporary(folder / PARTS)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: with an engine, `out` is the folder that the parts go to.")
    check_writable(folder / PARTS)
    if folder.exists() and not (folder / RECORD).exists():
        foreign = {entry.name for entry in folder.iterdir() if not _is_leftover(entry.name)} - {PARTS, "lock"}
        if foreign:
            raise UsageError(
                f"{folder} holds files that are not of a run ({', '.join(sorted(foreign)[:5])}): give a new folder."
            )


def _is_leftover(name: str) -> bool:
    """Whether it is a file that a killed process left while it wrote the record, the plan or the duplicates."""
    return name.startswith((".run.json.", ".plan-", ".duplicates."))


def _check_record(path: Path, record: dict[str, Any]) -> None:
    """Writes the record of a new run. Raises UsageError where the one there is of another run."""
    if not path.exists():
        with open_replacement(path) as file:
            file.write(json_text(record))
        return
    before = read_run(path)
    tasks = [str(each.get("task", "predict")) for each in (before, record)]
    if tasks[0] != tasks[1]:
        raise UsageError(f"{path.parent} holds the parts of {tasks[0]}, not of {tasks[1]}: give another folder.")
    if before.get("bundle") != record.get("bundle"):
        raise UsageError(
            f"{path.parent} holds the parts of another bundle (SHA-256 {str(before.get('bundle'))[:12]}…, not "
            f"{str(record.get('bundle'))[:12]}…): give another folder."
        )
    changed = sorted(key for key in {*before, *record} if before.get(key) != record.get(key))
    if changed:
        raise UsageError(
            f"{path.parent} holds parts that were made with other options ({', '.join(changed)}): give the same, or "
            "another folder."
        )


def read_run(path: Path) -> dict[str, Any]:
    """The record of a run. Raises DataError where it is damaged."""
    try:
        plain = json.loads(path.read_bytes()[:_MAX_BYTES])
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: give another folder.") from error
    return plain if isinstance(plain, dict) else {}
