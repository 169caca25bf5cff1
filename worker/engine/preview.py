"""Previews: a coarse heatmap of an explanation that is still being computed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Indices

MOST_CELLS = 56  # in a row or column
MOST_OUTPUTS = 4


@dataclass(frozen=True, eq=False)
class Preview:
    """The attribution so far of the first outputs, over square cells of pixels.

    heat: (K, h, w) float64, at most MOST_OUTPUTS and MOST_CELLS, in units of the (linked) score:
    the mean over each cell of its pixels' attributions, which are summed over channels. cell: its
    side in pixels; the last of a row or column may be cut. outputs: (K,) int64. evaluations: how
    many of the `planned` ones it is made of.
    """

    heat: NDArray[np.float64]
    cell: int
    outputs: Indices
    evaluations: int
    planned: int


def mean_over_cells(values: Credit) -> tuple[NDArray[np.float64], int]:
    """Average values (H, W, C, K), summed over channels, over cells; return (K, h, w), the side."""
    H, W = values.shape[:2]
    cell = -(-max(H, W) // MOST_CELLS)
    rows, columns = np.arange(0, H, cell), np.arange(0, W, cell)
    sums = np.einsum("hwck->hwk", values)  # five times as fast as sum()
    sums = np.add.reduceat(np.add.reduceat(sums, rows, axis=0), columns, axis=1)  # (h, w, K)
    heights, widths = np.diff(rows, append=H), np.diff(columns, append=W)
    return (sums / np.outer(heights, widths)[..., np.newaxis]).transpose(2, 0, 1), cell
