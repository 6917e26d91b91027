"""Where learning keeps its checkpoints."""

from pathlib import Path

import pytest

from twofold.core.errors import UsageError
from twofold.learning.run_folder import RunFolder


def test_beginning_again_with_the_same_key_changes_nothing(tmp_path: Path) -> None:
    """Several processes begin at once: one that rewrote the note would show the others an empty one."""
    place = RunFolder(tmp_path / "a.learning")
    place.begin("key")
    (before,) = place.folder.iterdir()
    status = before.stat()
    place.begin("key")
    assert (before.stat().st_ino, before.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    with pytest.raises(UsageError, match="had other options or pictures"):
        place.begin("other")
