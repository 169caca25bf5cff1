"""Attributions to draw, and measurements of drawings."""

import io

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from service.render import Attributions

RED, BLUE = (255, 13, 87), (30, 136, 229)


def attributions(values, data=None, names=None) -> Attributions:
    """Make attributions with `values` (H, W, C, K); by default the picture is mid-grey."""
    outputs = values.shape[3]
    return Attributions(
        values=values.astype(np.float32),
        base_values=np.zeros(outputs, np.float32),
        data=np.full(values.shape[:3], 128, np.float32) if data is None else data,
        output_names=names or [f"output {k}" for k in range(outputs)],
        output_indices=list(range(outputs)),
    )


def random_attributions(height=24, width=24, channels=3, outputs=2, seed=0) -> Attributions:
    numbers = np.random.default_rng(seed)
    data = numbers.uniform(0, 255, (height, width, channels)).astype(np.float32)
    return attributions(numbers.normal(size=(height, width, channels, outputs)), data)


def left_red_right_blue(height=20, width=20) -> Attributions:
    values = np.zeros((height, width, 1, 1))
    values[:, : width // 2], values[:, width // 2 :] = 2.0, -2.0
    return attributions(values)


def opened(png: bytes) -> PngImageFile:
    image = PngImageFile(io.BytesIO(png))
    image.load()
    return image


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(opened(png)).astype(int)
