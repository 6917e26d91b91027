"""Converters of other makers, each run in a process of its own: they write to the terminal, and leave threads and memory."""

import subprocess
import sys
from pathlib import Path

from twofold.core.errors import BackboneError


def run_converter(module: str, source: Path, target: Path) -> None:
    """Calls `convert(source, target)` of a module of twofold. Raises BackboneError, with the reason, where it fails."""
    call = (
        f"from pathlib import Path; from {module} import convert; convert(Path({str(source)!r}), Path({str(target)!r}))"
    )
    command = [sys.executable, "-P", "-c", call]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if result.returncode:
        kind, _, reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1].partition(": ")
        if kind.endswith(BackboneError.__name__):
            raise BackboneError(reason)
        raise BackboneError(f"The network cannot be converted: {reason or kind}.")
