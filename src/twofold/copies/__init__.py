"""Copies of pictures: equal, or nearly alike, found without comparing all pairs."""

from twofold.copies.copies import Copy, Kind, Sights, find_copies
from twofold.copies.known import Known, find_known, known, read_known, write_known

__all__ = [
    "Copy",
    "Kind",
    "Known",
    "Sights",
    "find_copies",
    "find_known",
    "known",
    "read_known",
    "write_known",
]
