"""Duplicates: equal files, equal pixels, files of one exposure, and exposures of one scene, without comparing all pairs."""

from twofold.duplicates.confirmation import FullImages
from twofold.duplicates.detection import (
    Duplicate,
    DuplicateKind,
    Fingerprints,
    Keys,
    confirm_matches,
    count_comparisons,
    find_duplicates,
    find_near_duplicates,
)
from twofold.duplicates.fine_detail import GreyImage
from twofold.duplicates.fingerprints import FingerprintIndex, find_in_index, index_fingerprints, read_index, write_index

__all__ = [
    "Duplicate",
    "DuplicateKind",
    "FingerprintIndex",
    "Fingerprints",
    "FullImages",
    "GreyImage",
    "Keys",
    "confirm_matches",
    "count_comparisons",
    "find_duplicates",
    "find_in_index",
    "find_near_duplicates",
    "index_fingerprints",
    "read_index",
    "write_index",
]
