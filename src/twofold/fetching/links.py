"""What lies in the cache of another library, linked to from ours: there in full, or not at all."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import mkdtemp

from twofold.core.files import make_private


def link_once(place: Path, fetch: Callable[[], Iterable[Path]]) -> Path:
    """The folder that `fetch` gives, or one with a link to each file that it gives; `fetch` runs only where links are broken."""
    if place.is_dir() and all(path.exists() for path in place.iterdir()):
        return place
    sources = list(fetch())
    make_private(place.parent)
    temporary = Path(mkdtemp(dir=place.parent, prefix="linked."))
    try:
        if len(sources) == 1 and sources[0].is_dir():
            made = temporary / "whole"
            made.symlink_to(sources[0].resolve())
        else:
            made = temporary / "parts"
            made.mkdir()
            for number, source in enumerate(sources):
                (made / f"{number:03}-{source.name}").symlink_to(source.resolve())
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        return made.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
