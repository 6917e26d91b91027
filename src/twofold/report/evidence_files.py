"""The files of explanations: for each image an overlay, NAME.png, and its map, NAME.npy."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from twofold.core.errors import UsageError
from twofold.core.files import check_writable, open_binary_replacement
from twofold.data import ImageArray
from twofold.report.evidence_overlay import small_overlay

_MARK: Final = ("Software", "twofold explain")
_MARK_BYTES: Final = 200  # the mark stands at the start of the file


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """Where the overlay and the map of an image are written."""

    overlay: Path
    map: Path

    def as_json(self) -> dict[str, str]:
        """{"overlay", "map"}."""
        return {"overlay": str(self.overlay), "map": str(self.map)}


def plan_files(paths: Iterable[Path], folder: Path) -> list[EvidenceFiles]:
    """The files of each image in `folder`; images of one name get numbers.

    Raises UsageError where nothing can be written there, and where a file exists that no earlier explanation wrote.
    """
    check_writable(folder / "overlay.png")
    counts: Counter[str] = Counter()
    planned, taken = [], set()
    for path in paths:
        name = path.stem
        while name in taken:
            counts[path.stem] += 1
            name = f"{path.stem}-{counts[path.stem] + 1}"
        taken.add(name)
        planned.append(EvidenceFiles(folder / f"{name}.png", folder / f"{name}.npy"))
    foreign = [files for files in planned if not _is_replaceable(files)]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise UsageError(
            f"{foreign[0].overlay}{more} would replace a file that is no explanation; give another folder with `out`."
        )
    return planned


def _is_replaceable(files: EvidenceFiles) -> bool:
    """Whether neither file exists, or both are those of an earlier explanation."""
    if not files.overlay.exists():
        return not files.map.exists()
    try:
        with files.overlay.open("rb") as file:
            return _MARK[1].encode() in file.read(_MARK_BYTES)
    except OSError:
        return False


def write_files(files: EvidenceFiles, image: ImageArray, evidence: NDArray[np.float32]) -> None:
    """Writes the overlay and the map (h, w) of an upright image (height, width, 3)."""
    mark = PngInfo()
    mark.add_text(*_MARK)
    files.overlay.parent.mkdir(parents=True, exist_ok=True)
    with open_binary_replacement(files.overlay) as file:
        small_overlay(image, evidence).save(file, "PNG", pnginfo=mark)
    with open_binary_replacement(files.map) as file:
        np.save(file, evidence)
