"""Checks of the computer: pure functions of what was found."""

import math
import time
from pathlib import Path
from shlex import quote
from typing import Final

from twofold.core.notes import count_text
from twofold.workflows.computer import Computer, Folder
from twofold.workflows.diagnosis import Check, CheckStatus

_GIGABYTE: Final = 1e9
_MEMORY: Final = (0.4, 1.0)  # GB: below the first nothing runs; training on 1,000 photographs takes 0.8
_DISK: Final = (0.1, 1.0)  # GB: a bundle has 0.02, the feature rows grow to 2
_DAY: Final = 86_400.0  # seconds
_INSTRUCTION_LIMITS: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_THREAD_LIMITS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# The processors of OpenBLAS in the order of their instructions: none of AVX, AVX, AVX2, AVX-512.
_BLAS_WITHOUT_AVX: Final = {"Prescott", "Core2", "Penryn", "Dunnington", "Atom", "Nano", "Nehalem", "Athlon", "Opteron"}
_BLAS_WITHOUT_AVX2: Final = _BLAS_WITHOUT_AVX | {"Sandybridge", "Bulldozer", "Piledriver", "Steamroller", "Barcelona"}
_BLAS_WITHOUT_AVX512: Final = _BLAS_WITHOUT_AVX2 | {"Haswell", "Zen", "Excavator"}


def check_computer(computer: Computer) -> list[Check]:
    """All checks that need no library and no bundle."""
    return [
        check_processor(computer),
        check_threads(computer),
        check_arithmetic(computer),
        check_memory(computer),
        check_cache(computer),
        check_folder("temporary files", computer.temporary, "export TMPDIR=FOLDER"),
        check_folder("current folder", computer.here, "cd to a folder that you can write to"),
        check_clock(computer),
        check_certificates(computer),
        check_telemetry(computer),
    ]


def check_processor(computer: Computer) -> Check:
    """Whether the processor has AVX2, and whether a variable forbids some of its instructions."""
    known = {"amx_int8": "AMX", "avx512_vnni": "VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}
    names = [name for flag, name in known.items() if flag in computer.instructions]
    text = ", ".join([computer.processor, *names])
    for variable in _INSTRUCTION_LIMITS:
        if variable in computer.environment:
            limit = f"{variable}={computer.environment[variable]}"
            return Check("processor", "warning", f"{text}; {limit} limits its instructions.", f"unset {variable}")
    if computer.instructions and "avx2" not in computer.instructions:
        return Check("processor", "warning", f"{text}: without AVX2, images take several times as long.")
    return Check("processor", "ok", text)


def check_threads(computer: Computer) -> Check:
    """Whether twofold may use the processors that there are."""
    count, total = computer.available_processors, computer.processors
    text = f"{count} of {count_text(total, 'processor')}"
    for variable in _THREAD_LIMITS:
        limit = computer.environment.get(variable, "")
        if limit.isdecimal() and 0 < int(limit) < count:
            text = f"{variable}={limit} gives fits {count_text(int(limit), 'thread')} of {count}."
            return Check("threads", "warning", text, f"unset {variable}")
    if count == 1 < total and computer.quota == 1:
        return Check("threads", "warning", f"{text}: the container's quota.", "give the container more processors")
    if count == 1 < total:
        return Check("threads", "warning", f"{text}: the affinity of this process.", f"taskset -cp 0-{total - 1} $$")
    return Check("threads", "ok", text)


def check_arithmetic(computer: Computer) -> Check:
    """Whether NumPy computes with the instructions that the processor has."""
    instructions, blas = computer.instructions, computer.blas
    slow = (
        blas in _BLAS_WITHOUT_AVX512
        if "avx512f" in instructions
        else blas in (_BLAS_WITHOUT_AVX2 if "avx2" in instructions else ())
    )
    core = computer.environment.get("OPENBLAS_CORETYPE")
    if slow and core:
        text = f"OPENBLAS_CORETYPE={core} makes NumPy compute as on {blas}, so fits take longer."
        return Check("arithmetic", "warning", text, "unset OPENBLAS_CORETYPE")
    if slow and blas in _BLAS_WITHOUT_AVX2:
        text = f"NumPy computes as on {blas}, with fewer instructions than this processor has."
        return Check("arithmetic", "warning", text, "pip install -U numpy")
    return Check("arithmetic", "ok", f"NumPy computes for {blas}" if blas else "NumPy without OpenBLAS")


def check_memory(computer: Computer) -> Check:
    """Whether there is enough memory, also in a container."""
    memory = computer.memory
    if math.isinf(memory.available):
        return Check("memory", "ok", "unknown on this system")
    limited = not math.isinf(memory.limit)
    bound, whose = (memory.limit, "the container's limit") if limited else (memory.total, "the machine")
    status = _level(memory.available, _MEMORY)
    text = f"{_size(memory.available)} free of {_size(bound)} ({whose})"
    if status == "ok":
        return Check("memory", "ok", text)
    text += f": {'nothing can be trained' if status == 'fault' else 'enough for small folders of images'}."
    return Check("memory", status, text, "docker update -m 4g CONTAINER" if limited else "close other programs")


def check_cache(computer: Computer) -> Check:
    """Whether feature rows and compiled networks can be kept."""
    cache = computer.cache
    if cache.fault:
        return Check("cache", "fault", cache.fault, "export XDG_CACHE_HOME=FOLDER")
    text = f"{cache.folder}, {_size(cache.bytes)}"
    if cache.store_fault:
        file = cache.folder / "features.sqlite"
        return Check("cache", "fault", f"{file} cannot be used: {cache.store_fault}.", f"rm {quote(str(file))}")
    return Check("cache", "ok", text)


def check_folder(name: str, folder: Folder, mend: str) -> Check:
    """Whether files can be written to the folder, and whether its disk has room."""
    if folder.fault:
        return Check(name, "fault", f"{folder.path} cannot be written to: {folder.fault}.", mend)
    status = _level(folder.free, _DISK)
    text = f"{folder.path}, {_size(folder.free)} free"
    return Check(
        name, status, text if status == "ok" else f"{text}: make room.", "" if status == "ok" else _usage(folder.path)
    )


def check_clock(computer: Computer) -> Check:
    """Whether the clock is after twofold's installation, and in the term of most certificates."""
    date, certificates = _date(computer.now), computer.certificates
    if computer.now < computer.installed - _DAY:
        text = f"{date} is before the installation of twofold on {_date(computer.installed)}: downloads fail."
        return Check("clock", "fault", text, "sudo timedatectl set-ntp true")
    if certificates is not None and certificates.valid < certificates.count / 2:
        text = f"On {date} only {certificates.valid} of {certificates.count} certificates are valid: downloads fail."
        return Check("clock", "fault", text, "sudo timedatectl set-ntp true")
    return Check("clock", "ok", date)


def check_certificates(computer: Computer) -> Check:
    """Whether the certificates that downloads are checked with are there."""
    certificates, name = computer.certificates, "certificates"
    if certificates is None:
        return Check(name, "ok", "those of the system")
    if certificates.count:
        return Check(name, "ok", f"{certificates.count} authorities")
    variable = computer.environment.get("SSL_CERT_FILE")
    if variable:
        return Check(
            name, "fault", f"SSL_CERT_FILE={variable} has no certificates: downloads fail.", "unset SSL_CERT_FILE"
        )
    text = "There are none, so downloads from the internet fail."
    return Check(name, "warning", text, "sudo apt-get install ca-certificates")


def check_telemetry(computer: Computer) -> Check:
    """Whether OpenVINO is kept from reporting to its maker."""
    if computer.telemetry:
        text = "OpenVINO was loaded by another program, and reports its use to Intel."
        return Check("telemetry", "fault", text, "pip uninstall -y openvino-telemetry")
    return Check("telemetry", "ok", "off")


def _level(value: float, bounds: tuple[float, float]) -> CheckStatus:
    return "fault" if value < bounds[0] * _GIGABYTE else "warning" if value < bounds[1] * _GIGABYTE else "ok"


def _usage(path: Path) -> str:
    return f"du -xh -d 1 {quote(str(path))} | sort -h"


def _size(size: float) -> str:
    """
    >>> _size(2.34e9), _size(4.5e6)
    ('2.3 GB', '4 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
