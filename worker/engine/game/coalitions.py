"""Coalitions of the elements of a picture, which methods yield for scoring."""

from typing import Any, Protocol, Self

from numpy.typing import NDArray

from worker.engine.arrays import Mask

Shape = tuple[int, int, int]  # H, W, C


# Coalitions that a method yields at a time, where it does not need scores sooner. Each step drains
# the pipeline of painting and scoring.
CHUNK = 256


class Coalitions(Protocol):
    """B coalitions over the elements of an (H, W, C) picture, yielded by a method for scoring.

    Implementations differ in how they store the members (image_tree.py, players.py).
    """

    def __len__(self) -> int:
        """Return B."""

    def __getitem__(self, span: slice, /) -> Self:
        """Return the coalitions of a span, in the same order."""

    def rows(self) -> list[bytes]:
        """Describe each coalition by bytes that are equal for equal coalitions only."""

    def visible(self, i: int) -> Mask:
        """Return which elements coalition i sees: (H, W) if whole pixels, else (H, W, C)."""

    def reveal(self, i: int, source: NDArray[Any], canvas: NDArray[Any]) -> None:
        """Copy what coalition i sees of source (H, W, C) into canvas (H, W, C)."""
