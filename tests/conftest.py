"""What several tests share."""

from pathlib import Path

import pytest
from drawings import draw_folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 pictures of bars and 20 of rings, for reading only."""
    return draw_folder(tmp_path_factory.mktemp("drawn") / "pictures", 20)
