"""The type of arrays of scores and of other numbers."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
