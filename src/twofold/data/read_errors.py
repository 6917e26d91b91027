"""Why a file is no usable image: a value, never an exception."""

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "missing",
    "not-a-file",
    "unreadable",
    "empty-file",
    "not-an-image",
    "out-of-range",  # the values of an array
    "unsupported-format",
    "truncated",
    "damaged",
    "too-large",
    "encrypted",  # this and the next two: members of archives
    "bomb",
    "too-deep",
    "not-finite",  # the features
    "changed",  # since the network was trained on it
]


@dataclass(frozen=True, slots=True)
class ReadError:
    """A reason code, and one sentence: what is wrong and what to do."""

    code: Code
    sentence: str
