"""Array types shared by the engine; docstrings and comments give the shapes where they are used.

N pictures, B coalitions, P pairs, H rows, W columns, C channels, M players, K outputs.
"""

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.float32]  # intensities 0..255
Scores = NDArray[np.float64]
Credit = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]
Labels = NDArray[np.int32]  # of players, 0..M-1
Region = tuple[slice, ...] | Mask  # an index of some elements in (H, W, C, ...)
