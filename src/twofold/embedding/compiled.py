"""The folders in which OpenVINO keeps networks compiled: one for each, with checksums, since it believes what it finds there."""

import zlib
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

from twofold.writing import replacing

KEPT: Final = 20  # networks: some 15 MB each in float32
_CHECKSUMS: Final = "checksums.txt"


def prepare(folder: Path) -> None:
    """Makes the folder of a network, or takes away what is damaged in it. OSError where it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = folder / _CHECKSUMS
    whole = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else []
    for blob in folder.glob("*.blob"):
        if _checksum(blob) not in whole:
            blob.unlink()


def remember(folder: Path) -> None:
    """Notes the checksums of what lies in the folder of a network, and leaves the newest of the folders beside it."""
    with suppress(OSError):  # another process may be at it, too
        sums = [_checksum(blob) for blob in sorted(folder.glob("*.blob"))]
        with replacing(folder / _CHECKSUMS) as file:
            file.write("\n".join(sums))
        oldest_first = sorted(filter(Path.is_dir, folder.parent.iterdir()), key=lambda path: path.stat().st_mtime)
        for old in oldest_first[:-KEPT]:
            rmtree(old)


def _checksum(blob: Path) -> str:
    return f"{blob.name} {zlib.crc32(blob.read_bytes()):08x}"
