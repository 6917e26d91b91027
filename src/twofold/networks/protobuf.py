"""The wire format of protocol buffers, which ONNX is written in: what a message holds, and how a field is written.

Strict: what the caller does not expect is a ValueError, as is a field that ends too early.
https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_WIDTHS: Final = {FIXED64: 8, FIXED32: 4}


class Kind(NamedTuple):
    """How a field may be written, and whether it may stand more than once."""

    wires: tuple[int, ...]
    repeated: bool = False


Kinds = Mapping[int, Kind | str]
"""The fields of a message by their numbers; a text names a field that is refused."""


class Field(NamedTuple):
    """A field of a message: its number, its value (of a varint the number, else the bytes), and where it stands."""

    number: int
    value: int | memoryview
    start: int
    end: int


class Reader:
    """Reads messages; `left` is how many fields it still takes, so that no file keeps it busy for ever."""

    def __init__(self, most: int = 500_000) -> None:
        self.left = most

    def fields(self, data: memoryview, kinds: Kinds) -> list[Field]:
        """The fields of the message, in their order. ValueError for anything but what `kinds` allows."""
        found: list[Field] = []
        seen: set[int] = set()
        at, end = 0, len(data)
        while at < end:
            if len(found) > self.left:
                raise ValueError("it has more fields than any network")
            start = at
            tag, at = _read_varint(data, at)
            number, wire = tag >> 3, tag & 7
            _check(number, wire, kinds, seen)
            seen.add(number)
            size, at = (_WIDTHS[wire], at) if wire in _WIDTHS else _read_varint(data, at)
            if wire == VARINT:
                found.append(Field(number, size, start, at))
                continue
            if size > end - at:
                raise ValueError("it ends too early")
            at += size
            found.append(Field(number, data[at - size : at], start, at))
        self.left -= len(found)
        return found


def _check(number: int, wire: int, kinds: Kinds, seen: set[int]) -> None:
    kind = kinds.get(number)
    if isinstance(kind, str):
        raise ValueError(f"it has {kind}")
    if kind is None or wire not in kind.wires:
        raise ValueError("it is no ONNX file, or damaged")
    if number in seen and not kind.repeated:
        raise ValueError("something stands twice in it that may stand once")


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at this place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends too early")
        byte = data[at]
        at += 1
        if byte < 128:
            return value | byte << shift, at
        value |= (byte & 127) << shift
    raise ValueError("it is no ONNX file, or damaged")


def varint(value: int) -> bytes:
    """The number as it is written, 7 bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes((*written, value))


def write_field(number: int, value: int | str | bytes) -> bytes:
    """A field: a number as a varint; text and bytes with their length before them."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return write_start(number, len(data)) + data


def write_start(number: int, size: int) -> bytes:
    """What stands before the bytes of a field that has `size` of them."""
    return varint(number << 3 | BYTES) + varint(size)
