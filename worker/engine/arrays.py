"""Array types shared by the engine; the letters of the shapes are written where they are used.

N pictures, B coalitions, H rows, W columns, C channels, K outputs.
"""

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.float32]  # intensities 0..255
Scores = NDArray[np.float64]
Credit = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]
