"""The model as the engine sees it: maps pictures to scores. backends/ has the implementations."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.errors import InvalidPictureError
from worker.engine.game.coalitions import Coalitions, Shape
from worker.engine.masking.maskers import FillMasker


class Predictor(Protocol):
    """A classifier of pictures of one shape; any thread may call it.

    backend: the library that runs the model, such as "tensorflow". device: "cpu" or "gpu:0 NAME".
    dtype: the dtype the model computes in, such as "float32" or "bfloat16".
    """

    input_shape: Shape
    n_outputs: int
    backend: str
    device: str
    dtype: str

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures (N, H, W, C), float32 in 0..255: (N, n_outputs) float32.

        The pictures are not modified, and the caller may modify the scores. Raises
        InvalidPictureError for a wrong shape or dtype.
        """


@runtime_checkable
class Compositor(Protocol):
    """A predictor that also paints coalitions, keeping pictures and fills on the model's device."""

    def composite(
        self, portions: Sequence[tuple[FillMasker, Coalitions]]
    ) -> Callable[[], NDArray[np.float32]]:
        """Start scoring the coalitions of each masker; return a function that waits for the scores.

        The scores are (N, n_outputs) float32, of all coalitions in order, and equal those of the
        pictures that the maskers paint. Raises InvalidPictureError for a wrong shape or dtype.
        """


def check_pictures(pictures: Pictures, shape: Shape) -> None:
    """Raise InvalidPictureError where pictures are not float32 of shape (N, *shape)."""
    if pictures.shape[1:] != shape or pictures.dtype != np.float32:
        raise InvalidPictureError(
            f"pictures are {pictures.dtype} of shape {pictures.shape}; the model takes float32 "
            f"of shape (N, {', '.join(map(str, shape))})"
        )
