"""Names of array types."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
"""(n,), 1 for the positive class."""
Probabilities = NDArray[np.float64]
"""(n,), of the positive class."""
Reals = NDArray[np.float64]
Rows = NDArray[np.int64]
"""Numbers of rows in other arrays."""
