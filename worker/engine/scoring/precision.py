"""Measures how far scores in reduced precision are from those in float32."""

from dataclasses import dataclass

import cv2
import numpy as np

from worker.engine.arrays import Pictures
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import Predictor

PICTURES = 8


@dataclass(frozen=True)
class Deviation:
    """Absolute differences between scores of all outputs on a few pictures.

    largest: over all outputs and pictures. median: over pictures, of each picture's largest.
    pictures: their number.
    """

    largest: float
    median: float
    pictures: int


def deviation(draft: Predictor, exact: Predictor) -> Deviation:
    """Compare two predictors of one model on synthetic pictures, the same at every call."""
    pictures = soft_pictures(exact.input_shape, PICTURES)
    worst = np.abs(draft(pictures) - exact(pictures)).max(axis=1)  # (N,)
    return Deviation(float(worst.max()), float(np.median(worst)), len(pictures))


def soft_pictures(shape: Shape, count: int) -> Pictures:
    """Make pictures (count, H, W, C) of noise at every scale from pixels up, as photos have it.

    A picture is the sum of noise of 2, 4, 8, ... cells a side, each half as strong as the one
    before. It spans 0..255 in float32. The same shape and count give the same pictures.
    """
    rng = np.random.default_rng(0)
    rows, columns, channels = shape
    pictures = np.zeros((count, *shape), np.float32)
    for picture in pictures:
        cells, strength = 2, 1.0
        while cells <= 2 * max(rows, columns):
            noise = rng.standard_normal((cells, cells, channels)).astype(np.float32)
            scaled = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_LINEAR)
            picture += strength * scaled.reshape(shape)  # OpenCV drops a single channel
            cells, strength = cells * 2, strength / 2
        low, high = picture.min(), picture.max()
        picture -= low
        picture *= 255 / max(high - low, np.float32(1e-6))  # a picture of one element has no range
    return pictures
