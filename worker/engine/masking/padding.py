"""A picture that lies in a larger one: what is around it is the same in every coalition.

Where the model's input is larger than what is explained, such as a photo that was padded, only the
picture plays. Its surroundings belong to no player, so they have no credit, and values, trees and
superpixels are those of the picture alone.
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
    """Where a picture (h, w, C) lies in the model's input (H, W, C): its first row and column."""

    top: int
    left: int


class PaddedMasker:
    """Paints coalitions by a masker, in the middle of what that masker paints of nobody.

    The edge of the empty coalition's picture is repeated outwards: of one colour for constant, mean
    and inpainting, of the blurred picture's edge for blur. Raises InvalidPictureError where the
    picture (h, w, C) does not lie within the input (H, W, C).
    """

    def __init__(
        self, masker: Masker, picture: Shape, place: PictureOffset, input_shape: Shape
    ) -> None:
        (h, w, c), (H, W, C) = picture, input_shape
        bottom, right = place.top + h, place.left + w
        if c != C or min(place.top, place.left, H - bottom, W - right) < 0:
            raise InvalidPictureError(
                f"a picture of {picture} at {place} is not within {input_shape}"
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
