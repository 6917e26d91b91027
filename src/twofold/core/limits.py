"""How much may come from elsewhere."""

from pathlib import Path
from shutil import disk_usage
from typing import Final

from twofold.core.errors import DataError

LIMIT: Final = 20_000_000_000  # bytes, packed or unpacked


def check_size(what: str, size: int, limit: int) -> None:
    """DataError where it is more than the limit."""
    if size > limit:
        raise DataError(
            f"{what} has {size:,} bytes, the limit is {limit:,}: download or unpack it by other means, and give the "
            "file or folder."
        )


def check_room(what: str, size: int, folder: Path) -> None:
    """DataError where the disk has no room for it."""
    free = disk_usage(folder).free
    if size > free:
        raise DataError(f"{what} needs {size:,} bytes, and {folder} has {free:,} free: make room.")
