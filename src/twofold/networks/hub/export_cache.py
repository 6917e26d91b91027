"""A cache of exported graphs, by a key of everything they were made from."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MAX_GRAPHS = 8  # that of a ViT-B takes 350 MB


def load_or_export(key: str, export: Callable[[], bytes], folder: Path) -> bytes:
    """The cached graph of this key, or else the result of `export`, which is cached from then on if the folder is writable."""
    path = folder / f"{key}.onnx"
    with suppress(OSError):
        graph = path.read_bytes()
        with suppress(OSError):
            os.utime(path)
        return graph
    graph = export()
    with suppress(OSError):
        _store(path, graph)
    return graph


def _store(path: Path, graph: bytes) -> None:
    """Writes the file whole or not at all, then removes the least recently used graphs beyond `MAX_GRAPHS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(graph)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    oldest_first = sorted(path.parent.glob("*.onnx"), key=lambda graph_file: graph_file.stat().st_mtime)
    for graph_file in oldest_first[:-MAX_GRAPHS]:
        graph_file.unlink()
