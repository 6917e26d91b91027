"""The region of the evidence: hand-computed fractions, and places in words."""

import numpy as np
import pytest

from twofold.workflows.evidence_region import find_region


def test_a_region_holds_the_strongest_tenth_of_the_cells() -> None:
    evidence = np.full((10, 10), 0.5, np.float32)
    evidence[:, 5:] = -1
    evidence[0, :5], evidence[1, :5] = 4, 2  # 20 + 10 in the strongest ten cells, 40 cells with 20 in all
    region = find_region(evidence, "cats")
    assert (region.label, region.area, region.place) == ("cats", 0.1, "upper left")
    assert region.fraction == pytest.approx(30 / 50)


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(1, 15, "top"), (15, 1, "left"), (15, 15, "centre"), (28, 28, "lower right"), (28, 15, "bottom")],
)
def test_a_place_is_named_by_thirds_of_the_image(row: int, column: int, place: str) -> None:
    evidence = np.zeros((30, 30), np.float32)
    evidence[row, column] = 1
    assert find_region(evidence, "cats").place == place


def test_evidence_at_opposite_corners_is_scattered() -> None:
    evidence = np.zeros((20, 20), np.float32)
    evidence[:4, :4] = evidence[-4:, -4:] = 1
    assert find_region(evidence, "cats").place == "scattered"


def test_without_evidence_the_fraction_is_zero() -> None:
    assert find_region(np.full((4, 4), -1, np.float32), "cats").fraction == 0
