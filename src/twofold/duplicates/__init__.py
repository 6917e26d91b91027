"""Duplicates: equal files, equal pixels, and near duplicates, without comparing all pairs."""

from twofold.duplicates.detection import Duplicate, Fingerprints, Kind, find_duplicates
from twofold.duplicates.fingerprints import FingerprintIndex, find_in_index, index_fingerprints, read_index, write_index

__all__ = [
    "Duplicate",
    "FingerprintIndex",
    "Fingerprints",
    "Kind",
    "find_duplicates",
    "find_in_index",
    "index_fingerprints",
    "read_index",
    "write_index",
]
