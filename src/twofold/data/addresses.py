"""Addresses, such as those of web sites and buckets, where the path of a file is expected."""

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

# Path() merges two slashes into one. A scheme has at least two letters, because one letter is a Windows drive.
_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]+):/|(kaggle|hf|data):", re.IGNORECASE)
_DOWNLOADABLE: Final = {"http", "https", "kaggle", "hf"}


def is_address(text: str) -> bool:
    """Whether the text is an address and there is no file of this name.

    >>> [is_address(text) for text in ("s3://bucket/1.jpg", "hf:owner/name", "C:/1.jpg", "new/1.jpg")]
    [True, True, False, False]
    """
    return _ADDRESS.match(text) is not None and not os.path.lexists(text)


def address_advice(address: str) -> str:
    """The advice for an address where a local path is expected: a clause for an error message."""
    scheme = address.partition(":")[0].lower()
    if scheme == "file":
        return f"give the path alone, {unquote(urlsplit(address).path)}"
    if scheme in _DOWNLOADABLE:
        return "download the image, or fetch the archive that holds it into a folder, and give the path"
    return "download it with the client of its store, and give the local path"
