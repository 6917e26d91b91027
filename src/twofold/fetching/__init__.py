"""Datasets from web addresses, presets, Kaggle and Hugging Face, downloaded once."""

from twofold.fetching.sources import find_local_data, resolve
from twofold.fetching.unpacking import UnpackedFiles, check_out, unpack

__all__ = ["UnpackedFiles", "check_out", "find_local_data", "resolve", "unpack"]
