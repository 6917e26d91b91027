"""Reading and writing of the protocol buffers wire format, the format of ONNX files.

The reader is strict: it raises ValueError for a field that the schema does not list and for a truncated field.
https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_WIDTHS: Final = {FIXED64: 8, FIXED32: 4}


class FieldKind(NamedTuple):
    """The wire types that a field may have, and whether it may occur more than once."""

    wire_types: tuple[int, ...]
    repeated: bool = False


FieldKinds = Mapping[int, FieldKind | str]
"""The fields of a message by number; a text describes a field that is not supported."""


class Field(NamedTuple):
    """A field of a message: its number, its value (an int for a varint, else the bytes), and the offsets of its start and end."""

    number: int
    value: int | memoryview
    start: int
    end: int


class Reader:
    """Reads messages. It reads `max_fields` fields in all, which bounds the time that a hostile file can take."""

    def __init__(self, max_fields: int = 500_000) -> None:
        self.remaining = max_fields

    def fields(self, data: memoryview, kinds: FieldKinds) -> list[Field]:
        """The fields of the message, in file order. ValueError for fields that `kinds` does not allow."""
        fields: list[Field] = []
        numbers: set[int] = set()
        at, end = 0, len(data)
        while at < end:
            if len(fields) > self.remaining:
                raise ValueError("it has more fields than any network")
            start = at
            tag, at = _read_varint(data, at)
            number, wire_type = tag >> 3, tag & 7
            _check(number, wire_type, kinds, numbers)
            numbers.add(number)
            size, at = (_WIDTHS[wire_type], at) if wire_type in _WIDTHS else _read_varint(data, at)
            if wire_type == VARINT:
                fields.append(Field(number, size, start, at))
                continue
            if size > end - at:
                raise ValueError("it ends too early")
            at += size
            fields.append(Field(number, data[at - size : at], start, at))
        self.remaining -= len(fields)
        return fields


def _check(number: int, wire_type: int, kinds: FieldKinds, numbers: set[int]) -> None:
    kind = kinds.get(number)
    if isinstance(kind, str):
        raise ValueError(f"it has {kind}")
    if kind is None or wire_type not in kind.wire_types:
        raise ValueError("it is no ONNX file, or damaged")
    if number in numbers and not kind.repeated:
        raise ValueError("it repeats a field that may occur once")


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at offset `at`, and the offset after it."""
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


def encode_varint(value: int) -> bytes:
    """The number as a varint: 7 bits per byte, lowest first.

    >>> encode_varint(300).hex()
    'ac02'
    """
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))


def write_field(number: int, value: int | str | bytes) -> bytes:
    """An encoded field: an integer as a varint, text and bytes with their length in front."""
    if isinstance(value, int):
        return encode_varint(number << 3 | VARINT) + encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return write_start(number, len(data)) + data


def write_start(number: int, size: int) -> bytes:
    """The start of a field of `size` bytes: its tag and its length."""
    return encode_varint(number << 3 | BYTES) + encode_varint(size)
