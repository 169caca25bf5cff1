"""Where in a picture credit falls, by the definitions of the dashboard's Cohorts (credit.js).

Shares of the absolute attributions on a grid that is laid over what the model saw of the photo,
whatever its size; pure functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.schemas.results import Rectangle

CELLS = 16  # of the grid, across and down
MIDDLE = slice(CELLS // 4, 3 * CELLS // 4)  # the centre, the middle half both ways
FIRST, SECOND = slice(0, CELLS // 2), slice(CELLS // 2, CELLS)

Grid = NDArray[np.float64]


@dataclass(frozen=True)
class Credit:
    """Shares of the credit: cells (CELLS, CELLS) that add up to 1.

    half: the share of the photo in which the strongest pixels hold half of the credit.
    """

    cells: Grid
    half: float

    def parts(self) -> dict[str, float]:
        """Returns the share of the centre and of each quarter."""
        return {
            "the centre": float(self.cells[MIDDLE, MIDDLE].sum()),
            "the top left": float(self.cells[FIRST, FIRST].sum()),
            "the top right": float(self.cells[FIRST, SECOND].sum()),
            "the bottom left": float(self.cells[SECOND, FIRST].sum()),
            "the bottom right": float(self.cells[SECOND, SECOND].sum()),
        }


def credit_of(values: NDArray[np.floating], placement: Rectangle) -> Credit | None:
    """Returns where the credit of values (H, W, C) falls; None where no pixel has any.

    placement: the part of the picture that shows the photo.
    """
    inside = values[placement.top : placement.bottom, placement.left : placement.right]
    sizes = np.abs(inside.sum(axis=2, dtype=np.float64))
    total = sizes.sum()
    if total == 0:
        return None
    across, down = _spans(sizes.shape[1]), _spans(sizes.shape[0])
    strongest = np.cumsum(np.sort(sizes, axis=None)[::-1])
    pixels = int(np.searchsorted(strongest, total / 2)) + 1
    return Credit(down.T @ sizes @ across / total, min(pixels, sizes.size) / sizes.size)


def mean_credit(found: Sequence[Credit]) -> Credit | None:
    """Returns the mean of several, each of the same weight; None of none."""
    if not found:
        return None
    cells: Grid = np.mean([each.cells for each in found], axis=0)
    return Credit(cells, float(np.mean([each.half for each in found])))


def _spans(length: int) -> Grid:
    """Returns the share of each of `length` pixels that lies in each cell: (length, CELLS)."""
    edges = np.arange(length + 1) * CELLS / length
    cells = np.arange(CELLS)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    shares: Grid = np.clip(overlap, 0, None) * length / CELLS
    return shares
