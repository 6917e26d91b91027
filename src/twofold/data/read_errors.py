"""Why a file is no usable picture: a value, never an exception that escapes."""

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "missing",
    "not-a-file",
    "unreadable",
    "empty-file",
    "not-a-picture",
    "out-of-range",  # an array's numbers
    "unsupported-format",
    "truncated",
    "damaged",
    "too-large",
    "encrypted",  # these three inside an archive
    "bomb",
    "too-deep",
    "not-finite",  # what the network gives
    "changed",  # since the network learned from it
]


@dataclass(frozen=True, slots=True)
class ReadError:
    """A reason code, and one sentence that says what is wrong and what to do."""

    code: Code
    sentence: str
