"""Reading of PyTorch weight files without PyTorch and without running any code in them.

The format is the one before PyTorch 1.6: five pickles in a row, then the bytes of the storages.
"""

import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError

WeightArrays = dict[str, NDArray[np.float32]]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Exceptions that unpickling raises for damaged bytes or other files.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_weights(path: Path) -> WeightArrays:
    """The float tensors of the file by name, as float32 arrays.

    Raises BackboneError where the file is damaged or has other content than weights.
    """
    with path.open("rb") as file:
        try:
            return _read(file)
        except _DAMAGE as error:
            raise BackboneError(
                f"The weights {path} are damaged or not a plain table of weights ({error}); get the file again."
            ) from error


def _read(file: BinaryIO) -> WeightArrays:
    if zipfile.is_zipfile(file):
        raise pickle.UnpicklingError("it is in PyTorch's newer zip format")
    file.seek(0)
    if _Unpickler(file, {}).load() != _MAGIC or _Unpickler(file, {}).load() != _PROTOCOL:
        raise pickle.UnpicklingError("not a PyTorch file of the old format")
    _Unpickler(file, {}).load()  # sizes of C types on the computer that wrote it
    storages: dict[str, _Storage] = {}
    tensors = _Unpickler(file, storages).load()
    for key in _Unpickler(file, {}).load():
        storages[key].read(file)
    return {name: tensor() for name, tensor in tensors.items() if tensor.storage.dtype == np.float32}


class _Sealed:
    """An object that a pickle may create but not modify."""

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets attributes, which weights do not need")


class _Storage(_Sealed):
    """A block of numbers; its bytes follow the pickles."""

    def __init__(self, dtype: str, count: int) -> None:
        self.dtype, self.count = np.dtype(dtype), count
        self.values: NDArray[Any] = np.empty(0, dtype)

    def read(self, file: BinaryIO) -> None:
        (count,) = struct.unpack("<q", file.read(8))
        if count != self.count:
            raise ValueError(f"a storage holds {count} numbers, expected {self.count}")
        self.values = np.frombuffer(file.read(count * self.dtype.itemsize), self.dtype)
        if self.values.size != count:
            raise EOFError("the file ends too early")


class _Tensor(_Sealed):
    """A view of a storage; calling it gives the array once the storage has been read."""

    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def __call__(self) -> NDArray[np.float32]:
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        fits = min((self.offset, *self.stride)) >= 0 and max(last + 1, math.prod(self.size)) <= self.storage.values.size
        if not fits:
            raise ValueError("a tensor reaches outside its storage")
        values = self.storage.values[self.offset :]
        strides = [stride * values.itemsize for stride in self.stride]
        return np.lib.stride_tricks.as_strided(values, self.size, strides).copy()  # some are stored transposed


# All names that such files need; any other name in a pickle could run code.
_ALLOWED: dict[tuple[str, str], Callable[..., object] | str] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which weights do not need")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, count, _ = pid
        return self._storages.setdefault(key, _Storage(dtype, count))
