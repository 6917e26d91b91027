"""Why a file is no usable picture: a value, never an exception that escapes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason code in kebab-case, and one sentence that says what is wrong and what to do."""

    code: str
    sentence: str
