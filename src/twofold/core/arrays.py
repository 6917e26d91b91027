"""Names of array types."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
"""(n,), 1 for the positive class."""
Probabilities = NDArray[np.float64]
"""(n,), of the positive class."""
Reals = NDArray[np.float64]
Rows = NDArray[np.int64]
"""Numbers of rows in other arrays."""
StoredFeatures = NDArray[np.floating[Any]]
"""(n, d): float32 in memory, or float16 in a file that is mapped to memory."""

Scalar = TypeVar("Scalar", bound=np.generic)


def take_rows(array: NDArray[Scalar], rows: Rows) -> NDArray[Scalar]:
    """The rows (m,) of an array: a view where they are its first ones, because a copy may not fit in memory.

    >>> numbers = np.array([3, 5, 7])
    >>> take_rows(numbers, np.array([0, 1])), take_rows(numbers, np.array([2, 0]))
    (array([3, 5]), array([7, 3]))
    """
    first = array[: len(rows)]
    return first if np.array_equal(rows, np.arange(len(rows))) else array[rows]
