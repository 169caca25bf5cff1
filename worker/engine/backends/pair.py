"""Two models as one predictor: both score the same masked pictures."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.errors import PredictorError
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import Predictor, check_pictures
from worker.engine.scoring.batch_size import device_batch_size, next_span


class PairPredictor:
    """Scores pictures of the first model's size by both models, side by side.

    The second model gets the same pictures, resized where its input has another size: averaged
    along sides that shrink, interpolated along sides that grow. Raises PredictorError for models
    that take different channels.
    """

    def __init__(self, first: Predictor, second: Predictor) -> None:
        self.input_shape = first.input_shape
        self.n_outputs = first.n_outputs + second.n_outputs
        self.backend, self.device, self.dtype = first.backend, first.device, first.dtype
        self._models = first, second
        self._batch = device_batch_size(second.input_shape, second.device)
        if first.input_shape[2] != second.input_shape[2]:
            raise PredictorError(
                f"the model takes {first.input_shape[2]} channels, the compared model "
                f"{second.input_shape[2]}; they must take the same"
            )

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures (N, H, W, C): (N, n_outputs), the first model's outputs first."""
        check_pictures(pictures, self.input_shape)
        first, second = self._models
        scores = np.empty((len(pictures), self.n_outputs), np.float32)
        scores[:, : first.n_outputs] = first(pictures)
        done = 0
        while done < len(pictures):  # the second model's batches may be smaller
            span = slice(done, done + next_span(len(pictures) - done, self._batch))
            scores[span, first.n_outputs :] = second(fitted(pictures[span], second.input_shape))
            done = span.stop
        return scores


def fitted(pictures: Pictures, shape: Shape) -> Pictures:
    """Resize pictures (N, h, w, C) to shape (H, W, C); those of this size are returned as they are.

    Levels stay in 0..255, which interpolation overshoots.
    """
    if pictures.shape[1:] == shape:
        return pictures
    resized = np.empty((len(pictures), *shape), np.float32)
    for picture, place in zip(pictures, resized, strict=True):
        place[:] = resize(picture, *shape[:2]).reshape(shape)
    return resized.clip(0, 255, out=resized)


Levels = NDArray[np.integer[Any] | np.floating[Any]]


def resize(pixels: Levels, H: int, W: int) -> Levels:
    """Resize a picture (h, w, C) by averages along sides that shrink, then cubically: (H, W[, C]).

    Of one channel OpenCV drops the last axis.
    """
    h, w = pixels.shape[:2]
    smaller = cv2.resize(pixels, (min(w, W), min(h, H)), interpolation=cv2.INTER_AREA)
    return cv2.resize(smaller, (W, H), interpolation=cv2.INTER_CUBIC)
