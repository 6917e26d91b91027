"""The members of an archive as a tree of plain names, and the members that are never read."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from twofold.data.read_errors import ReadError

SKIP_SENTENCES: Final = {
    "link": "It is a link inside an archive, which is never followed.",
    "device": "It is a device, a pipe or a sparse file inside an archive, which is never read.",
    "unsafe-name": "Its name is absolute or leads out of the archive.",
    "same-name": "Another member of the archive has the same name, and is read instead.",
    "too-deep": "It is more than 100 folders deep.",
}
MAX_DEPTH: Final = 100  # folders above a file: code that visits every folder above every file must end
FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of an archive. `read` takes its `handle`; `code` is FOLDER, a key of SKIP_SENTENCES, or empty for a file."""

    name: str
    handle: Any = None
    code: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The members of an archive by name: `/` separates folders, no name is absolute or leads upwards, the root is `""`."""

    read: Callable[[Any, int], bytes | ReadError]  # (handle, limit in bytes) -> the bytes of the member
    handles: dict[str, Any] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=lambda: {"": set()})  # -> the names of the entries
    skips: list[tuple[str, str]] = field(default_factory=list)  # (name, key of SKIP_SENTENCES)


def gather(entries: Iterable[Entry], read: Callable[[Any, int], bytes | ReadError]) -> Members:
    """The tree of the entries. Of several members with one name the last is read, as after unpacking."""
    members = Members(read)
    counts: Counter[str] = Counter()
    for entry in entries:
        name = _plain(entry.name)
        if name is None:
            if entry.code != FOLDER:
                members.skips.append((entry.name, "unsafe-name"))
        elif name.count("/") > MAX_DEPTH:
            members.skips.append((name, "too-deep"))
        elif entry.code == FOLDER:
            _add_folders(members, name)
            members.folders.setdefault(name, set())
        elif entry.code:
            members.skips.append((name, entry.code))
        else:
            members.handles[name] = entry.handle
            counts[name] += 1
    for name in members.handles:
        _add_folders(members, name)
    hidden = counts.keys() & members.folders.keys()  # a file and a folder with the same name: unpacking would fail
    for name, count in counts.items():
        members.skips.extend([(name, "same-name")] * (count - (name not in hidden)))
    for name in hidden:
        del members.handles[name]
    return members


def _add_folders(members: Members, name: str) -> None:
    """Adds the name to its folder, and each folder to its parent."""
    while name:
        folder, _, last = name.rpartition("/")
        entries = members.folders.setdefault(folder, set())
        if last in entries:
            return
        entries.add(last)
        name = folder


def _plain(name: str) -> str | None:
    """The name without empty parts and dots; None where it leads out of the archive, on this system or on Windows."""
    windows = PureWindowsPath(name)
    if not name or name.startswith("/") or "\0" in name or windows.anchor or ".." in windows.parts:
        return None
    return "/".join(PurePosixPath(name).parts)
