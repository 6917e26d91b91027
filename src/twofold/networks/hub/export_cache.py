"""Graphs that were exported once, kept by what they were made from."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CROP_PCT = 8  # graphs: that of a ViT-B takes 350 MB


def exported(key: str, make: Callable[[], bytes], folder: Path) -> bytes:
    """The graph kept under this key, or the one that `make` gives, kept from now on where the folder can be written."""
    path = folder / f"{key}.onnx"
    with suppress(OSError):
        graph = path.read_bytes()
        with suppress(OSError):
            os.utime(path)
        return graph
    graph = make()
    with suppress(OSError):
        _keep(path, graph)
    return graph


def _keep(path: Path, graph: bytes) -> None:
    """Whole or not at all; the graphs that were not used for longest go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with open(number, "wb") as file:
            file.write(graph)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    oldest_first = sorted(path.parent.glob("*.onnx"), key=lambda kept: kept.stat().st_mtime)
    for kept in oldest_first[:-CROP_PCT]:
        kept.unlink()
