"""Privacy of messages and records: addresses without credentials, paths without the home folder."""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from twofold.core.files import printable

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}"  # a path merges two slashes into one; one letter is a drive
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:@\[\]]*)(:\d*)?")


def public_address(text: str) -> str:
    """The address without user, password, query and parameters. `text` may be a command line argument that ends with an address.

    A fragment is removed, too, unless it is a plain name, such as a folder in an archive. Any other text is unchanged.

    >>> public_address("https://ann:pw@host.org/pets.zip?X-Amz-Signature=1f#pets/train")
    'https://***@host.org/pets.zip?…#pets/train'
    >>> public_address("--test=http://host.org/pets.zip?token=1")
    '--test=http://host.org/pets.zip?…'
    """
    return re.sub(rf"({_SCHEME})(.*)", lambda match: match[1] + _public_form(match[2]), text, flags=re.DOTALL)


def public_text(text: str) -> str:
    """A message of another library with public addresses. An address is assumed to end at the next space.

    >>> public_text("GET http://ann@host/a.zip failed: Max retries exceeded with url: /a.zip?token=1")
    'GET http://***@host/a.zip failed: Max retries exceeded with url: /a.zip?…'
    """
    text = re.sub(rf"({_SCHEME})(\S*)", lambda match: match[1] + _public_form(match[2]), text)
    return re.sub(r"\?[^\s?=]+=\S*", "?…", text)


def _public_form(address: str) -> str:
    """The public form of an address, without its scheme and "//"."""
    before, hash_sign, fragment = address.partition("#")
    location = re.split("[?;]", before, maxsplit=1)[0]
    host, slash, path = location.partition("/")
    _, at, host = host.rpartition("@")
    if not _HOST.fullmatch(host) or (
        ":" in host and not host.startswith("[") and "@" in address[len(host) :] and not at
    ):
        return "***"  # the password contains one of / ? #, so the beginning of the host is not known
    query = before[len(location)] + "…" if len(location) < len(before) else ""
    folder = "…" if "=" in unquote(fragment) else fragment
    return f"{'***@' if at else ''}{host}{slash}{path}{query}{hash_sign}{folder}"


def public_word(word: str) -> str:
    """An argument of a command line as bundles record it: addresses without credentials, paths without the home folder."""
    return without_home(public_address(printable(word)))


def without_home(text: str) -> str:
    """The text with ~ in place of the home folder."""
    for home in _home_names(os.path.expanduser("~")):
        text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w-]|\.\w)", "~", text)
    return text


@lru_cache
def _home_names(home: str) -> tuple[str, ...]:
    """The home folder and the folder that it links to, the longer first; none if it is the root or a relative path."""
    names = {home, os.path.realpath(home)} if os.path.isabs(home) else set()
    return tuple(sorted((name for name in names if len(Path(name).parts) > 1), key=len, reverse=True))


def relative_to(roots: Iterable[Path], paths: Iterable[str]) -> Callable[[str], str]:
    """A function that makes the paths in a text relative to the roots, and replaces the home folder by ~.

    Absolute paths among `paths` that are below none of the roots become relative to their common folder.
    """
    folders = {str(root) for root in roots} - {".", ""}
    outside = [path for path in paths if os.path.isabs(path) and not any(_is_below(path, root) for root in folders)]
    with suppress(ValueError):  # there are none, or on Windows they are on several drives
        common_folder = os.path.commonpath([os.path.dirname(path) for path in outside])
        if not any(_is_below(home, common_folder) for home in _home_names(os.path.expanduser("~"))):
            folders.add(common_folder)
    longest_first = sorted((folder.rstrip("/\\") for folder in folders), key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first))
    prefix = re.compile(rf"(?<![\w./~-])(?:{alternatives})[/\\]" if folders else r"(?!)")
    return lambda text: without_home(prefix.sub("", text))


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/\\") + os.sep)


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The JSON value with `change` applied to every text in it; keys are not changed."""
    match value:
        case str():
            return change(value)
        case dict():
            return {key: change_texts(entry, change) for key, entry in value.items()}
        case list() | tuple():
            return [change_texts(entry, change) for entry in value]
    return value
