"""Data from elsewhere: addresses, presets, Kaggle, Hugging Face; to a local file or folder, once."""

from twofold.fetching.sources import Found, find, resolve
from twofold.fetching.unpacking import Unpacked, check_out, unpack

__all__ = ["Found", "Unpacked", "check_out", "find", "resolve", "unpack"]
