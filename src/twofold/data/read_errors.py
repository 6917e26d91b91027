"""Read errors: the reason why a file is not a usable image, as a value, never an exception."""

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
    "encrypted",  # this and the next two are for members of archives
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
