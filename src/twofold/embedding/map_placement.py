"""Where the cells of a model input lie in an image: what each of them gives to each part of the image's axes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.data import InputAxis


@dataclass(frozen=True, slots=True, eq=False)
class PlacementBand:
    """A matrix (parts, cells) whose rows are zero outside of a few neighbouring cells.

    Row i has `fractions[i, t]` at `cells[i, t]`, both (parts, taps); a cell that a row names twice has the sum. A product takes a
    tenth of the time of that with the dense matrix, and leaves the threads of BLAS asleep: they spin while they wait.
    """

    cells: NDArray[np.intp] = field(repr=False)
    fractions: NDArray[np.float32] = field(repr=False)

    def __matmul__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The product with values (cells, n), (parts, n)."""
        total = self.fractions[:, 0, None] * values[self.cells[:, 0]]
        for cells, fractions in zip(self.cells.T[1:], self.fractions.T[1:], strict=True):
            total += fractions[:, None] * values[cells]
        return total


def spread(cells: int, size: int, axis: InputAxis, length: int, parts: int) -> PlacementBand:
    """The fraction of each cell of a model input that lies in each of the even parts of an image's axis, (parts, cells).

    The cells divide the `size` of the model input evenly. Each is spread around its centre and fades out linearly to the centres
    of its neighbours; the first and the last reach to the ends. Columns add up to 1, but for what lies in the margins of a padded
    image.

    >>> (spread(2, 4, InputAxis(0, 1), 4, 4) @ np.eye(2, dtype=np.float32)).round(3).tolist()
    [[0.5, 0.0], [0.375, 0.125], [0.125, 0.375], [0.0, 0.5]]
    """
    edges = (np.linspace(0, length, parts + 1) - axis.start) / axis.scale
    edges = edges.clip(0, size) * (cells / size)
    first = np.floor(edges[:-1] - 0.5).astype(np.intp)
    taps = int((np.ceil(edges[1:] - 0.5) - first).max()) + 1
    numbers = first[:, None] + np.arange(taps)
    fractions = _part_below(edges[1:, None] - numbers - 0.5) - _part_below(edges[:-1, None] - numbers - 0.5)
    # What neighbours beyond an end would have, the cell at that end has.
    return PlacementBand(numbers.clip(0, cells - 1), fractions.astype(np.float32))


def _part_below(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a cell below a point at these distances from its centre, in cells."""
    below, above = distances.clip(-1, 0), distances.clip(0, 1)
    return np.asarray((1 + below) ** 2 / 2 + above - above**2 / 2)
