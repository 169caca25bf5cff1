"""What a method asks to have scored: coalitions of the elements of a picture."""

from typing import Any, Protocol, Self

from numpy.typing import NDArray

from worker.engine.arrays import Mask

Shape = tuple[int, int, int]  # H, W, C


# Coalitions a method that need not look at scores sooner asks for at a time: each time drains the
# pipeline of painting and scoring, and what is under way when an explanation is stopped is lost.
CHUNK = 256


class Coalitions(Protocol):
    """B coalitions over the elements of an (H, W, C) picture: what a method asks to have scored.

    Kinds differ in how they remember who is in (image_tree.py, players.py).
    """

    def __len__(self) -> int:
        """Give B."""

    def __getitem__(self, span: slice, /) -> Self:
        """Give the coalitions of a span, in the same order."""

    def visible(self, i: int) -> Mask:
        """Tell which elements coalition i sees: (H, W) if whole pixels, else (H, W, C)."""

    def reveal(self, i: int, source: NDArray[Any], canvas: NDArray[Any]) -> None:
        """Copy what coalition i sees of source (H, W, C) into canvas (H, W, C)."""
