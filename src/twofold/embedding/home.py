"""The machine with the user's cache folder, or without one where there is none, as in a container for any user."""

import os
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from twofold.data import Note
from twofold.embedding.machine import Machine
from twofold.embedding.watch import Watch, unwatched
from twofold.errors import TwofoldError
from twofold.options import EngineOptions
from twofold.privacy import without_home
from twofold.writing import reason

_NOWHERE: Final = Path(os.devnull) / "twofold"  # no folder can be made there


def user_machine(options: EngineOptions, watch: Watch = unwatched) -> Machine:
    """What keeps all in the user's cache folder; where that cannot be used, a note says so, and nothing is kept.

    What has to be downloaded then goes into a temporary folder, which is gone when the process ends.
    """
    try:
        return Machine(_cache_folder(), options, watch)
    except TwofoldError as error:
        note = Note(
            "cache-unusable", f"{error} So nothing is kept between runs: set XDG_CACHE_HOME to a folder of yours."
        )
        return Machine(_temporary_folder(), replace(options, cache=False), watch, [note] if options.cache else [])


def _cache_folder() -> Path:
    """TwofoldError, a sentence, where it cannot be used."""
    try:
        folder = user_cache_path("twofold")
    except (RuntimeError, KeyError, OSError):
        raise TwofoldError("You have no home folder, and so no cache.") from None
    if not folder.is_absolute():  # made from a HOME or XDG_CACHE_HOME that is not, or from an unknown ~
        raise TwofoldError("You have no home folder with an absolute path, and so no cache.")
    try:
        # Where it is missing, whoever keeps something makes it.
        above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=above):
            return folder
    except OSError as error:
        raise TwofoldError(f"The cache {without_home(str(folder))} cannot be used ({reason(error)}).") from None


def _temporary_folder() -> Path:
    try:
        return Path(_temporary().name)
    except OSError:  # TMPDIR leads nowhere, either: only what needs a folder fails
        return _NOWHERE


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """One for the process, so that what was downloaded is there the next time; gone when it ends."""
    return tempfile.TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)
