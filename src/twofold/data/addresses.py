"""Addresses, as of a web site or a bucket, told from the paths of files."""

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

# One slash is left of two where a program took the address for a path; one letter is a drive of Windows.
_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]+):/|(kaggle|hf|data):", re.IGNORECASE)
_FETCHED: Final = {"http", "https", "kaggle", "hf"}


def is_address(text: str) -> bool:
    """Whether the text is an address, and no file of that name is there.

    >>> [is_address(text) for text in ("s3://bucket/1.jpg", "hf:owner/name", "C:/1.jpg", "new/1.jpg")]
    [True, True, False, False]
    """
    return _ADDRESS.match(text) is not None and not os.path.lexists(text)


def advice(address: str) -> str:
    """What to do with an address where a file on this machine is wanted."""
    scheme = address.partition(":")[0].lower()
    if scheme == "file":
        return f"give the path alone, {unquote(urlsplit(address).path)}"
    if scheme in _FETCHED:
        return "download the image, or make a folder of an archive with 'twofold fetch', and give that"
    return "copy it to this machine by the program of its store, and give the file"
