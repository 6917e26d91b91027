"""How somebody can see long work pass, without the work knowing who."""

from collections.abc import Callable, Iterable
from typing import Any

Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps a stream so that somebody can see it pass: (stream, length, what it is) -> the same stream."""


def unwatched(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
    """The stream as it is."""
    return stream
