"""Images in the types that Python callers use -> sources that can be read, or an error that says what to pass."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.core.errors import DataError
from twofold.core.privacy import public_address
from twofold.data import address_advice, is_address
from twofold.embedding.content import Source

_BYTES: Final = (bytes, bytearray, memoryview)
_NO_LISTS: Final = (str, *_BYTES, os.PathLike, Image.Image, np.generic, Mapping)
_CHANNELS: Final = (1, 3, 4)
_MAX_NAMED: Final = 5
_MEMBER_ERRORS: Final = (TypeError, ValueError, RuntimeError, OSError)
_ADVICE: Final = "Give paths, bytes, PIL images or arrays of height x width x 3."


def image_sources(images: Any) -> list[Source]:
    """Each image as a path, bytes, PIL image or array, in the order given.

    `images` may be a list, another sequence or iterator, an array of images, or a table of one column. Raises DataError for a
    single image, for a collection without an order, and for members that are not images; it names their rows.
    """
    members = _members(images)
    sources, faults = [], []
    for row, member in enumerate(members):
        try:
            sources.append(_source(member))
        except _MEMBER_ERRORS as error:
            faults.append(_fault(row, member, error))
    if faults:
        more = f" and {len(faults) - _MAX_NAMED} more" if len(faults) > _MAX_NAMED else ""
        raise DataError(
            f"{len(faults)} of {len(members)} entries are not images that can be read: {'; '.join(faults[:_MAX_NAMED])}{more}. "
            f"{_ADVICE}"
        )
    return sources


def stream_sources(images: Any) -> Iterator[Source]:
    """The sources as a stream. An iterator is read lazily. Raises DataError that names the first bad member."""
    if not isinstance(images, Iterator) or hasattr(images, "read"):
        return iter(image_sources(images))

    def sources() -> Iterator[Source]:
        for row, member in enumerate(images):
            try:
                source = _source(member)
            except _MEMBER_ERRORS as error:
                raise DataError(
                    f"An entry is not an image that can be read: {_fault(row, member, error)}. {_ADVICE}"
                ) from error
            yield source

    return sources()


def _members(images: Any) -> list[Any]:
    if isinstance(images, _NO_LISTS) or hasattr(images, "read"):  # iteration would give letters, numbers, lines or keys
        raise _no_list(images)
    if isinstance(images, set | frozenset):
        raise _no_list(images, ", which has no order")
    if hasattr(images, "nnz"):
        raise _no_list(images, ", a sparse matrix")
    if hasattr(images, "columns"):  # a table; iteration would give the names of its columns
        return list(_column(_array(images)))
    if hasattr(images, "__array__"):
        return list(_stack(_array(images)))
    try:
        return list(images)
    except TypeError:
        raise _no_list(images) from None


def _no_list(images: Any, why: str = "") -> DataError:
    return DataError(f"A list of images is needed, got {_kind(images)}{why}: give a list, as in predict([image]).")


def _array(images: Any) -> NDArray[Any]:
    try:
        return np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on another device, say
        raise DataError(f"The images, {_kind(images)}, cannot be read as an array: {error}") from error


def _stack(array: NDArray[Any]) -> NDArray[Any]:
    """The array, whose rows are images. Raises DataError where it is or may be a single image."""
    if array.ndim == 2 and array.dtype.kind not in "biufc":
        return _column(array)
    if array.ndim in (0, 2) or (array.ndim == 3 and array.shape[2] in _CHANNELS):
        raise _no_list(array)
    if array.ndim == 3 and array.shape[0] in (3, 4):
        raise DataError(
            f"The images, {_kind(array)}, may be one image, with its channels first, or {len(array)} grey images: give "
            "[image] with its channels last, or list(array)."
        )
    return array


def _column(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    raise DataError(f"One column of images is needed, got {_kind(array)}: choose it, as in table['path'].")


def _source(member: Any) -> Source:
    if isinstance(member, Path | bytes | Image.Image) or (isinstance(member, np.ndarray) and member.ndim):
        return member
    if isinstance(member, str) and is_address(member):
        raise ValueError(f"the address {public_address(member)}: {address_advice(member)}")
    if isinstance(member, str | os.PathLike):
        return Path(os.fsdecode(member))
    if isinstance(member, _BYTES):
        return bytes(member)
    if hasattr(member, "read"):
        return _read(member)
    if hasattr(member, "__array__") and not isinstance(member, np.ndarray | np.generic):
        return np.asarray(member)
    raise TypeError


def _read(file: Any) -> bytes:
    """The content of the file from its start, regardless of its position."""
    with suppress(OSError, AttributeError):  # a pipe cannot seek
        file.seek(0)
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError("opened as text: open it with 'rb'")
    return data


def _fault(row: int, member: Any, error: Exception) -> str:
    return f"row {row} is {_kind(member)}" + (f" ({error})" if str(error) else "")


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {' x '.join(map(str, value.shape)) or 'no dimensions'}"
    return "None" if value is None else type(value).__name__
