"""The computer as a run finds it: what the checks of a diagnosis are computed from, read once."""

import os
import shutil
import sqlite3
import ssl
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import twofold
from twofold.core.files import reason
from twofold.core.parallel import available_processors, container_quota
from twofold.core.system_memory import SystemMemory, system_memory
from twofold.embedding import Runtime
from twofold.networks import processor_features, processor_name

_MAX_FILES: Final = 20_000  # whose sizes are added: a diagnosis takes two seconds at most
_BUNDLED: Final = "ca-certificates.crt"  # all certificates of Debian's folder in one file


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that files are written to: bytes free, and why it cannot be written to; "" where it can."""

    path: Path
    free: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache folder: its size in bytes, why it cannot be used, and what is wrong with its feature rows; "" for nothing."""

    folder: Path
    bytes: int
    fault: str = ""
    store_fault: str = ""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates that connections are checked with: how many there are, and how many the clock is in the term of."""

    count: int
    valid: int


@dataclass(frozen=True, slots=True)
class Computer:
    """What was found. `quota` is the container's, in processors; `now` and `installed` are seconds since 1970: the clock, and
    when twofold was installed. `blas` has the processor that NumPy's OpenBLAS computes for, "" where there is another library.

    `telemetry` has modules of OpenVINO's telemetry that are loaded.
    """

    processor: str
    instructions: frozenset[str]
    processors: int
    available_processors: int
    quota: int
    memory: SystemMemory
    cache: Cache
    temporary: Folder
    here: Folder
    now: float
    installed: float
    certificates: Certificates | None
    blas: str
    telemetry: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def read_computer(runtime: Runtime, environment: Mapping[str, str]) -> Computer:
    """What there is to know without a network, for a runtime and the variables of its environment."""
    return Computer(
        processor=_model_name(processor_name()),
        instructions=processor_features(),
        processors=os.cpu_count() or 1,
        available_processors=available_processors(),
        quota=container_quota(),
        memory=system_memory(),
        cache=_cache(runtime),
        temporary=_temporary_folder(),
        here=writable_folder(Path.cwd()),
        now=time.time(),
        installed=Path(twofold.__file__).stat().st_mtime,
        certificates=read_certificates(time.time()),
        blas=_blas(),
        telemetry=tuple(name for name in sys.modules if name.startswith("openvino_telemetry.")),
        environment=environment,
    )


def writable_folder(path: Path) -> Folder:
    """The folder, tried with a temporary file."""
    try:
        free = float(shutil.disk_usage(path).free)
        with tempfile.TemporaryFile(dir=path):
            return Folder(path, free)
    except OSError as error:
        return Folder(path, 0.0, reason(error))


def _temporary_folder() -> Folder:
    try:
        return writable_folder(Path(tempfile.gettempdir()))
    except OSError as error:  # none of the usual folders can be written to
        return Folder(Path(tempfile.gettempprefix()), 0.0, reason(error))


def _cache(runtime: Runtime) -> Cache:
    fault = next((note.text for note in runtime.notes if note.code == "cache-unusable"), "")
    if fault:
        return Cache(runtime.folder, 0, fault)
    return Cache(runtime.folder, _size(runtime.folder), store_fault=_store_fault(runtime.folder / "features.sqlite"))


def _size(folder: Path) -> int:
    """The bytes of the files in the folder, of the first _MAX_FILES of them."""
    size = files = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # another process deleted it
                size += os.stat(os.path.join(root, name)).st_size
        files += len(names)
        if files > _MAX_FILES:
            break
    return size


def _store_fault(path: Path) -> str:
    """Why the feature rows cannot be read; "" where they can, or where there are none."""
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
            database.execute("SELECT content FROM feature_rows LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:  # also: another process is writing, or there is no table yet
        return "" if "locked" in str(error) or "no such table" in str(error) else str(error)
    except sqlite3.Error as error:
        return str(error)
    return ""


def read_certificates(now: float, paths: "ssl.DefaultVerifyPaths | None" = None) -> Certificates | None:
    """The certificates of authorities that OpenSSL uses; None where they cannot be counted, as in a folder of links."""
    paths = paths or ssl.get_default_verify_paths()
    candidates = [Path(path) for path in (paths.cafile, paths.capath and f"{paths.capath}/{_BUNDLED}") if path]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        return (
            None
            if sys.platform == "win32" or (paths.capath and any(Path(paths.capath).iterdir()))
            else Certificates(0, 0)
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(file))
    except (OSError, ssl.SSLError):
        return Certificates(0, 0)
    terms = [(certificate["notBefore"], certificate["notAfter"]) for certificate in context.get_ca_certs()]
    valid = [ssl.cert_time_to_seconds(str(start)) <= now <= ssl.cert_time_to_seconds(str(end)) for start, end in terms]
    return Certificates(len(valid), sum(valid))


def _blas() -> str:
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:  # which the check of packages tells
        return ""

    names = [info.get("architecture", "") for info in threadpool_info() if info.get("internal_api") == "openblas"]
    return names[0] if names else ""


def _model_name(text: str) -> str:
    """The model's name in a text of `processor_name`.

    >>> _model_name("model name\\t: Xeon 6; flags\\t: fpu avx2")
    'Xeon 6'
    """
    first = text.split("; ")[0]
    return first.partition(":")[2].strip() or first
