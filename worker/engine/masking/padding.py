"""A picture padded to the model's larger input; the padding is the same in every coalition.

Only the picture's elements are players. The padding belongs to no player and has no credit, so
values, trees and superpixels are those of the picture alone.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Pictures
from worker.engine.errors import InvalidPictureError
from worker.engine.game.coalitions import Coalitions, Shape
from worker.engine.game.image_tree import empty_coalition
from worker.engine.masking.maskers import Masker


@dataclass(frozen=True)
class PictureOffset:
    """The first row and column of a picture (h, w, C) within the model's input (H, W, C)."""

    top: int
    left: int


class PaddedMasker:
    """Paints coalitions by a masker, within padding made from the empty coalition's picture.

    The padding repeats the edge of the empty coalition's picture outwards: one colour for constant,
    mean and inpainting, the edge of the blurred picture for blur. Raises InvalidPictureError where
    the picture (h, w, C) does not lie within the input (H, W, C).
    """

    def __init__(
        self, masker: Masker, picture: Shape, place: PictureOffset, input_shape: Shape
    ) -> None:
        (h, w, c), (H, W, C) = picture, input_shape
        bottom, right = place.top + h, place.left + w
        if c != C or min(place.top, place.left, H - bottom, W - right) < 0:
            raise InvalidPictureError(
                f"a picture of shape {picture} at row {place.top} and column {place.left} is not "
                f"within the model's input of shape {input_shape}"
            )
        self._masker = masker
        self._inside = slice(None), slice(place.top, bottom), slice(place.left, right)
        [hidden] = masker(empty_coalition(picture))  # (h, w, C)
        around = ((place.top, H - bottom), (place.left, W - right), (0, 0))
        self._ground = np.pad(hidden, around, mode="edge")  # (H, W, C)

    @property
    def costly(self) -> bool:
        return self._masker.costly

    def __call__(self, coalitions: Coalitions, out: Pictures | None = None) -> Pictures:
        out = np.empty((len(coalitions), *self._ground.shape), np.float32) if out is None else out
        out[:] = self._ground
        self._masker(coalitions, out[self._inside])
        return out
