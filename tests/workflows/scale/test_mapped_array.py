from pathlib import Path

import numpy as np
import pytest

from twofold.core.errors import TwofoldError
from twofold.workflows.scale.mapped_array import mapped_array


def test_an_array_in_a_file_leaves_no_name_and_keeps_what_is_written(tmp_path: Path) -> None:
    array = mapped_array(tmp_path / "new", (100, 3), np.float16)
    array[[7, 99]] = 5
    assert list((tmp_path / "new").iterdir()) == []
    assert array.shape == (100, 3)
    assert np.flatnonzero(array.sum(axis=1)).tolist() == [7, 99]


def test_too_little_room_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="make room"):
        mapped_array(tmp_path, (2**40, 1024), np.float16)
    assert list(tmp_path.iterdir()) == []
