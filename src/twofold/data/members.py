"""The members of an archive as a tree of plain names, and those that are never followed."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from twofold.data.read_errors import ReadError

SENTENCES: Final = {
    "link": "It is a link inside an archive, which is never followed.",
    "device": "It is a device, a pipe or a sparse file inside an archive, which is never read.",
    "unsafe-name": "Its name is absolute or leads out of the archive.",
    "same-name": "Another member of the archive has the same name, and is read instead.",
    "too-deep": "It lies more than 100 folders deep.",
}
DEEPEST: Final = 100  # folders above a file; what goes over every folder above every file must end
FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as the archive lists it: `handle` finds it again; `code` is a key of SENTENCES or FOLDER, or empty."""

    name: str
    handle: Any = None
    code: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Names have `/` between folders, and none is absolute or leads upwards; the root folder is `""`."""

    read: Callable[[Any, int], bytes | ReadError]  # (handle, most bytes) -> the member's bytes
    handles: dict[str, Any] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=lambda: {"": set()})  # each with the names of its entries
    passed_over: list[tuple[str, str]] = field(default_factory=list)  # (name, key of SENTENCES)


def gather(entries: Iterable[Entry], read: Callable[[Any, int], bytes | ReadError]) -> Members:
    """The tree of the entries; of those with one name the last is read, as unpacking would have it."""
    members = Members(read)
    named: Counter[str] = Counter()
    for entry in entries:
        name = _plain(entry.name)
        if name is None:
            if entry.code != FOLDER:
                members.passed_over.append((entry.name, "unsafe-name"))
        elif name.count("/") > DEEPEST:
            members.passed_over.append((name, "too-deep"))
        elif entry.code == FOLDER:
            _grow(members, name)
            members.folders.setdefault(name, set())
        elif entry.code:
            members.passed_over.append((name, entry.code))
        else:
            members.handles[name] = entry.handle
            named[name] += 1
    for name in members.handles:
        _grow(members, name)
    hidden = named.keys() & members.folders.keys()  # a file and a folder of one name: unpacking would fail
    for name, count in named.items():
        members.passed_over.extend([(name, "same-name")] * (count - (name not in hidden)))
    for name in hidden:
        del members.handles[name]
    return members


def _grow(members: Members, name: str) -> None:
    """Makes the name known to the folder that it lies in, and that folder to its own."""
    while name:
        folder, _, last = name.rpartition("/")
        known = members.folders.setdefault(folder, set())
        if last in known:
            return
        known.add(last)
        name = folder


def _plain(name: str) -> str | None:
    """The name without what says nothing; None for one that leads elsewhere, here or under Windows."""
    elsewhere = PureWindowsPath(name)
    if not name or name.startswith("/") or "\0" in name or elsewhere.anchor or ".." in elsewhere.parts:
        return None
    return "/".join(PurePosixPath(name).parts)
