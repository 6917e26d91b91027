"""The dtypes in which a network can run, and which of them the processor runs fast."""

import platform
from itertools import takewhile
from pathlib import Path
from typing import Literal

from twofold.core.errors import UsageError
from twofold.core.options import BackboneOptions

Dtype = Literal["f32", "bf16", "int8"]


def choose_dtype(options: BackboneOptions, offered: tuple[Dtype, ...]) -> Dtype:
    """The dtype of the options; for `auto`, the fastest that both the processor and the network (`offered`) support.

    Raises UsageError where the network or the processor does not support the dtype.
    """
    if options.dtype == "auto":
        return next(dtype for dtype in fast_dtypes() if dtype in offered)
    if options.dtype not in offered:
        raise UsageError(f"This network cannot be run in {options.dtype}; use `dtype` {' or '.join(offered)}.")
    if options.dtype == "bf16" and "bf16" not in fast_dtypes():
        raise UsageError("This processor has no bfloat16 instructions; use `dtype='f32'` or `dtype='auto'`.")
    return options.dtype


def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction sets that Linux lists for the first processor; empty on other systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())


def fast_dtypes(features: frozenset[str] | None = None) -> tuple[str, ...]:
    """The dtypes that the processor runs fast, fastest first; the last is always f32."""
    available = processor_features() if features is None else features
    int8 = available & {"avx512_vnni", "avx_vnni", "amx_int8"}
    bf16 = available & {"avx512_bf16", "amx_bf16"}
    return (*(("int8",) if int8 else ()), *(("bf16",) if bf16 else ()), "f32")


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name and instruction sets, as far as the system reports them."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "; ".join(line for line in takewhile(bool, lines) if line.startswith(("model name", "flags", "Features")))
