"""What messages and records may show: addresses without what opens them, paths without whose they are."""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}"  # one slash is left of two in a path; one letter is a drive
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:@\[\]]*)(:\d*)?")


def public_address(text: str) -> str:
    """An address, or a word of a command that ends with one, without user, password and what stands after `?` or `;`.

    What stands after # goes, too, unless it is a plain name, as of a folder in an archive. Any other text stays as it is.

    >>> public_address("https://ann:pw@host.org/pets.zip?X-Amz-Signature=1f#pets/train")
    'https://***@host.org/pets.zip?…#pets/train'
    >>> public_address("--test=http://host.org/pets.zip?token=1")
    '--test=http://host.org/pets.zip?…'
    """
    return re.sub(rf"({_SCHEME})(.*)", lambda match: match[1] + _public(match[2]), text, flags=re.DOTALL)


def public_text(text: str) -> str:
    """A sentence of another library, in which every address that ends at a space is a public one, or a part of one.

    >>> public_text("GET http://ann@host/a.zip failed: Max retries exceeded with url: /a.zip?token=1")
    'GET http://***@host/a.zip failed: Max retries exceeded with url: /a.zip?…'
    """
    text = re.sub(rf"({_SCHEME})(\S*)", lambda match: match[1] + _public(match[2]), text)
    return re.sub(r"\?[^\s?=]+=\S*", "?…", text)


def _public(rest: str) -> str:
    """What stands after the slashes of an address."""
    before, hash_sign, fragment = rest.partition("#")
    place = re.split("[?;]", before, maxsplit=1)[0]
    host, slash, path = place.partition("/")
    _, at, host = host.rpartition("@")
    if not _HOST.fullmatch(host) or (":" in host and not host.startswith("[") and "@" in rest[len(host) :] and not at):
        return "***"  # a password with one of / ? # in it: where the host begins nobody can say
    asked = before[len(place)] + "…" if len(place) < len(before) else ""
    folder = "…" if "=" in unquote(fragment) else fragment
    return f"{'***@' if at else ''}{host}{slash}{path}{asked}{hash_sign}{folder}"


def without_home(text: str) -> str:
    """The text, in which the home folder is called ~."""
    for home in _homes(os.environ.get("HOME")):
        text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w-]|\.\w)", "~", text)
    return text


@lru_cache
def _homes(_: str | None) -> tuple[str, ...]:
    """The home folder under each of its names, the longest first; none where the system knows of none."""
    home = os.path.expanduser("~")
    names = {home, os.path.realpath(home)} if os.path.isabs(home) else set()
    return tuple(sorted((name for name in names if len(Path(name).parts) > 1), key=len, reverse=True))


def relative_to(roots: Iterable[Path], paths: Iterable[str]) -> Callable[[str], str]:
    """A function of a text with paths in it that gives the text with paths relative to the roots, and no home folder.

    Absolute ones among `paths` that lie below none of the roots become relative to the folder that they have in common.
    """
    beginnings = {str(root) for root in roots} - {".", ""}
    outside = [path for path in paths if os.path.isabs(path) and not any(_below(path, root) for root in beginnings)]
    with suppress(ValueError):  # there are none, or under Windows they lie on several drives
        common = os.path.commonpath([os.path.dirname(path) for path in outside])
        if not any(_below(home, common) for home in _homes(os.environ.get("HOME"))):
            beginnings.add(common)
    longest_first = sorted((root.rstrip("/\\") for root in beginnings), key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first))
    beginning = re.compile(rf"(?<![\w./~-])(?:{either})[/\\]" if beginnings else r"(?!)")
    return lambda text: without_home(beginning.sub("", text))


def _below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/\\") + os.sep)


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A value as JSON has it, with every text in it changed; the names of entries stay."""
    match value:
        case str():
            return change(value)
        case dict():
            return {key: change_texts(entry, change) for key, entry in value.items()}
        case list() | tuple():
            return [change_texts(entry, change) for entry in value]
    return value
