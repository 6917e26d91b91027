"""Pillow's readers of the supported formats, without warnings, and without a change to the process of the caller; libtiff's
error handler is replaced only while a TIFF is read.

Pillow warns about odd metadata, which does not affect the pixels, and about large frames and tiles, for which twofold has its
own limit. `warnings.filters` belongs to the caller, and `warnings.catch_warnings` edits it for all threads. So the methods that
warn are copied into subclasses: the same code, with a `warnings` module that does nothing. Pillow's classes do not change.
"""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from types import FunctionType, SimpleNamespace
from typing import Any, Final

from PIL import Image, ImageFile, _imaging
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile, PngStream
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from twofold.data.formats import Format

_LOGGER: Final = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())  # without a handler, Python prints errors to the terminal


def _silent(kind: type, **names: Any) -> Any:
    """A subclass in which the methods that warn, log or use one of these global names are copies, bound to other globals."""
    names = {"warnings": SimpleNamespace(warn=lambda *_, **__: None), "logger": _LOGGER, **names}
    methods = {
        name: _rebind(value, names)
        for name, value in vars(kind).items()
        if isinstance(value, FunctionType) and not names.keys().isdisjoint(value.__code__.co_names)
    }
    return type(kind.__name__, (kind,), methods)


def _rebind(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    scope = {**function.__globals__, **names}
    rebound_function = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    rebound_function.__kwdefaults__ = function.__kwdefaults__
    return rebound_function


_Directory: Final = _silent(ImageFileDirectory_v2)


class _Exif(Image.Exif):
    """EXIF data of which only the first directory is read, without warnings: it has orientation and camera."""

    @property
    def _info(self) -> Any:
        return self.__dict__.get("_info")

    @_info.setter
    def _info(self, directory: Any) -> None:  # Pillow sets it before it reads the directory
        if directory is not None:
            directory.__class__ = _Directory
        self.__dict__["_info"] = directory

    def _get_ifd_dict(self, offset: int, group: int | None = None) -> None:
        """No directory but the first."""


# Pillow's error for too many pixels stays; only its warning is dropped.
_check_size: Final = partial(Image._decompression_bomb_check, error_only=True)
_IMAGE: Final = SimpleNamespace(**{**vars(Image), "Exif": _Exif, "_decompression_bomb_check": _check_size})
_SilentTiff: Any = _silent(TiffImageFile, ImageFileDirectory_v2=_Directory, Image=_IMAGE)


class _Tiff(_SilentTiff):  # type: ignore[misc]
    def load(self) -> Any:
        with quiet_libtiff():
            return super().load()

    def load_end(self) -> None:
        """Turns the image upright, which takes its EXIF data."""
        self._exif = _Exif()
        super().load_end()


class _Jpeg(JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Does nothing: the resolution is not used, and Pillow warns about odd EXIF data."""


READERS: Final[dict[Format, type[ImageFile.ImageFile]]] = {
    "JPEG": _Jpeg,
    "PNG": _silent(PngImageFile, PngStream=_silent(PngStream)),
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": _silent(GifImageFile, Image=_IMAGE),
    "TIFF": _Tiff,
    "AVIF": _silent(AvifImageFile, Image=_IMAGE),
    "PPM": PpmImageFile,
}

_LIBTIFF_LOCK: Final = Lock()
_libtiff_users = 0  # threads inside quiet_libtiff
_error_handler: int | None = None  # libtiff's, while there are any


@contextmanager
def quiet_libtiff() -> Iterator[None]:
    """Within this context libtiff prints no errors from C. The previous handler is restored when the last thread leaves."""
    global _libtiff_users, _error_handler
    set_handler = _libtiff()
    with _LIBTIFF_LOCK:
        if _libtiff_users == 0:
            _error_handler = set_handler(None)
        _libtiff_users += 1
    try:
        yield
    finally:
        with _LIBTIFF_LOCK:
            _libtiff_users -= 1
            if _libtiff_users == 0:
                set_handler(_error_handler)


@cache
def _libtiff() -> Any:
    """TIFFSetErrorHandler: the address of a handler -> that of the one before."""
    try:  # Pillow's core was linked with libtiff, and gives access to it, except on Windows
        function = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        return lambda handler: None
    function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
    return function
