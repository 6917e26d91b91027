"""The state of a watch: what it has counted, in a JSON file by which it continues."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.bundle.format import checksum
from twofold.core.errors import DataError, UsageError
from twofold.core.files import open_replacement, read_file, reason
from twofold.core.json_text import json_text
from twofold.decision.martingale import Martingale
from twofold.workflows.image_measures import DIGITS
from twofold.workflows.monitors import Monitor

FORMAT: Final = 1
RECENT: Final = 1000
"""Images whose measures are kept, for what is said about the images of late."""

REMEMBERED: Final = 100_000
"""Images that are recognised when they are met again."""

_MAX_BYTES: Final = 50_000_000


@dataclass(frozen=True, slots=True, eq=False)
class WatchState:
    """The life of a bundle with this identity: a martingale for each monitor, the measures of the last `RECENT` images, the
    hashes of the last `REMEMBERED` ones, and the numbers of images that were counted, met again, known from the training, or
    unreadable.
    """

    bundle: str
    martingales: Mapping[str, Martingale] = field(repr=False)
    recent: Mapping[str, tuple[float, ...]] = field(repr=False)
    digests: tuple[str, ...] = field(default=(), repr=False)
    images: int = 0
    repeated: int = 0
    training_images: int = 0
    read_errors: Mapping[str, int] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The content of the file, without its checksum."""
        return {
            "format": FORMAT,
            "bundle": self.bundle,
            "images": self.images,
            "repeated": self.repeated,
            "training_images": self.training_images,
            "read_errors": dict(self.read_errors),
            "martingales": {name: _martingale_json(each) for name, each in self.martingales.items()},
            "recent": {name: list(values) for name, values in self.recent.items()},
            "digests": "".join(self.digests),
        }


def new_state(bundle: str, monitors: Sequence[Monitor]) -> WatchState:
    """The state before the first image of a bundle with this identity, `identity_of`."""
    martingales = {monitor.name: Martingale.begin(monitor.urn, monitor.bets) for monitor in monitors}
    return WatchState(bundle, martingales, {monitor.name: () for monitor in monitors})


def read_state(path: Path, bundle: str, monitors: Sequence[Monitor]) -> WatchState:
    """The state in a file, for a bundle with this identity and its monitors; a new one where there is no file.

    Raises DataError where the file is damaged, UsageError where it is that of another bundle. It is not changed.
    """
    try:
        plain = json.loads(read_file(path, _MAX_BYTES))
        intact = plain["sha256"] == checksum(plain)
    except FileNotFoundError:
        return new_state(bundle, monitors)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({reason(error)}): give another file, or change its permissions."
        ) from error
    except (ValueError, TypeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise _damaged(path)
    if plain.get("format") != FORMAT:
        raise DataError(
            f"{path} has the format {plain.get('format')} of another version of twofold: move it away; a new life begins "
            "where there is no file."
        )
    if plain.get("bundle") != bundle:
        raise UsageError(
            f"{path} is the state of another bundle, or of this one before it was trained again: give another file; a new life "
            "begins where there is none."
        )
    try:
        return _state(plain, monitors)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error


def write_state(path: Path, state: WatchState) -> None:
    """Writes the state, whole or not at all. Raises TwofoldError where that fails."""
    content = state.as_json()
    with open_replacement(path) as file:
        file.write(json_text({**content, "sha256": checksum(content)}, ascii_only=True))


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged, or not a state of watch: restore it from a backup, or move it away; a new life begins "
        "where there is no file."
    )


def _state(plain: Mapping[str, Any], monitors: Sequence[Monitor]) -> WatchState:
    martingales = {each.name: _martingale(plain["martingales"][each.name], each) for each in monitors}
    recent = {each.name: tuple(map(float, plain["recent"][each.name])) for each in monitors}
    text = str(plain["digests"])
    return WatchState(
        plain["bundle"],
        martingales,
        recent,
        tuple(text[start : start + DIGITS] for start in range(0, len(text), DIGITS)),
        int(plain["images"]),
        int(plain["repeated"]),
        int(plain["training_images"]),
        Counter({str(code): int(count) for code, count in plain["read_errors"].items()}),
    )


def _martingale_json(martingale: Martingale) -> dict[str, Any]:
    return {
        "numbers": martingale.numbers.tolist(),
        "stakes": martingale.stakes.tolist(),
        "highest": martingale.highest,
        "alarm": martingale.alarm,
    }


def _martingale(plain: Mapping[str, Any], monitor: Monitor) -> Martingale:
    numbers, stakes = np.array(plain["numbers"], np.int64), np.array(plain["stakes"], np.float64)
    if numbers.shape != monitor.urn.gaps.shape or stakes.shape != monitor.bets.parts.shape:
        raise ValueError("its martingales are not those of the bundle")
    alarm = None if plain["alarm"] is None else int(plain["alarm"])
    return Martingale(numbers, stakes, float(plain["highest"]), alarm)
