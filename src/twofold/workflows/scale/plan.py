"""The plan: the sorted paths of a run on the disk, cut into parts. Further paths of a later run become a further file."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.core.files import open_binary_replacement, reason
from twofold.workflows.scale.part_files import sync, sync_folder
from twofold.workflows.scale.sources.path_list import to_path

PART: Final = 512
"""The number of paths of a part; the last part of a plan file may have fewer."""

_NAME: Final = "plan-{}.txt"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the plan: `count` paths at an offset of a plan file. Its digest is made of the model and of these paths."""

    digest: str
    file: Path
    offset: int
    size: int
    count: int

    def paths(self) -> list[str]:
        """The paths, in their order."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return [to_path(line) for line in file.read(self.size).split(b"\n")[:-1]]


def write_plan(folder: Path, lines: Iterable[bytes]) -> None:
    """Writes sorted lines as a further file of the plan, whole or not at all."""
    path = folder / _NAME.format(len(plan_files(folder)) + 1)
    with open_binary_replacement(path) as file:
        for line in lines:
            file.write(line + b"\n")
        sync(file)
    sync_folder(folder)


def read_parts(folder: Path, model: str) -> list[Part]:
    """All parts of the plan for the model with this SHA-256; none where there is no plan yet."""
    return [part for file in plan_files(folder) for part in _parts(file, model)]


def new_lines(folder: Path, lines: Iterable[bytes]) -> list[bytes]:
    """Those of the sorted lines that are not in the plan."""
    planned = merge(*map(_lines, plan_files(folder)))
    other, new = next(planned, None), []
    for line in lines:
        while other is not None and other < line:
            other = next(planned, None)
        if line != other:
            new.append(line)
    return new


def plan_files(folder: Path) -> list[Path]:
    """The files of the plan, in their order."""
    files: list[Path] = []
    while (path := folder / _NAME.format(len(files) + 1)).exists():
        files.append(path)
    return files


def _parts(path: Path, model: str) -> Iterator[Part]:
    offset = 0
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, PART)):
                block = b"".join(lines)
                digest = hashlib.sha256(model.encode() + b"\n" + block).hexdigest()[:32]
                yield Part(digest, path, offset, len(block), len(lines))
                offset += len(block)
    except OSError as error:
        raise DataError(f"The plan {path} cannot be read ({reason(error)}): check the disk.") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line[:-1]
