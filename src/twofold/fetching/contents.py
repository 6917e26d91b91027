"""Whether what came is an archive, whole as far as its own list of members says."""

from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data import archive_kind, is_archive

_MAGIC: Final = b"PAR1"


def check_contents(file: Path, source: str) -> None:
    """DataError where the file is none of the archives that are read, or its members cannot be listed."""
    kind = archive_kind(file)
    if kind is None:
        raise DataError(
            f"What came from {source} is no zip, tar or Parquet file, but perhaps a web page: find the address of the "
            "file itself."
        )
    if kind == "parquet":  # without its library, which only reading needs
        with file.open("rb") as opened:
            opened.seek(-len(_MAGIC), 2)
            whole = opened.read() == _MAGIC
    elif kind == "compressed":
        whole = True  # told when it is unpacked
    else:
        try:
            whole = is_archive(file)
        except DataError:
            whole = False
    if not whole:
        raise DataError(f"What came from {source} is cut short or damaged, and was not kept: fetch it again.")
