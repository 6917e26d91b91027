"""Duplicates: equal files, equal pixels, and near duplicates, without comparing all pairs."""

from twofold.duplicates.detection import Duplicate, DuplicateKind, Fingerprints, find_duplicates
from twofold.duplicates.fingerprints import FingerprintIndex, find_in_index, index_fingerprints, read_index, write_index

__all__ = [
    "Duplicate",
    "DuplicateKind",
    "FingerprintIndex",
    "Fingerprints",
    "find_duplicates",
    "find_in_index",
    "index_fingerprints",
    "read_index",
    "write_index",
]
