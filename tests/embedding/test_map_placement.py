"""Placing the cells of a model input in an image, against a numerical integral of their linear interpolation."""

import numpy as np
import pytest

from twofold.data import InputAxis
from twofold.embedding.map_placement import spread


@pytest.mark.parametrize(
    ("cells", "axis", "length", "parts"),
    [
        (7, InputAxis(0, 1), 224, 112),  # finer
        (112, InputAxis(0, 4.5), 1008, 40),  # coarser
        (14, InputAxis(20, 0.5), 160, 64),  # a centre crop
        (14, InputAxis(-40, 0.75), 90, 30),  # a padded image
        (1, InputAxis(0, 1), 224, 3),
    ],
)
def test_each_part_has_the_integral_of_the_interpolated_cells(
    cells: int, axis: InputAxis, length: int, parts: int
) -> None:
    matrix = spread(cells, 224, axis, length, parts) @ np.eye(cells, dtype=np.float32)
    samples = 20_000
    at = ((np.arange(samples) + 0.5) * length / samples - axis.start) / axis.scale
    inside = (at >= 0) & (at <= 224)
    step = length / samples / axis.scale * cells / 224  # in cells
    for cell in range(cells):
        one = np.eye(cells)[cell]
        density = np.interp(at * cells / 224, np.arange(cells) + 0.5, one) * inside
        part = (np.arange(samples) * parts) // samples
        assert matrix[:, cell] == pytest.approx(np.bincount(part, density) * step, abs=2e-3)


def test_what_lies_outside_of_the_model_input_is_zero_and_nothing_is_lost() -> None:
    matrix = spread(14, 224, InputAxis(20, 0.5), 160, 64) @ np.eye(14, dtype=np.float32)
    assert matrix.sum(axis=0) == pytest.approx(1, abs=1e-6)
    assert not matrix[:8].any()
    assert not matrix[53:].any()
