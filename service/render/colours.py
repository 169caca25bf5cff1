"""Maps attributions to colours, normalised as in shap's image plot so that the two compare."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.render.errors import InvalidOptionError
from service.render.palettes import Palette

Sums = NDArray[np.float64]  # (H, W, K), attributions of K outputs summed over channels


def channel_sums(values: NDArray[np.float32]) -> Sums:
    """Sums values (H, W, C, K) over the channels."""
    sums = values[:, :, 0].astype(np.float64)
    for channel in range(1, values.shape[2]):  # eight times as fast as sum(axis=2)
        sums += values[:, :, channel]
    return sums


def region_sums(regions: NDArray[np.integer], values: NDArray[np.floating]) -> Sums:
    """Gives each pixel the values (R, K) of its region, summed over channels: (H, W, K).

    `regions` (H, W), or (H, W, C) where channels have regions of their own; -1: none.
    """
    known = np.concatenate([values, np.zeros((1, values.shape[1]))])  # -1 is the last
    layers = regions[..., None] if regions.ndim == 2 else regions
    sums: Sums = known[layers[..., 0]].astype(np.float64)
    for channel in range(1, layers.shape[2]):
        sums += known[layers[..., channel]]
    return sums


def limit(*sums: NDArray[np.floating], percentile: float = 99.9) -> float:
    """Returns the magnitude at which colours saturate: a percentile of |sums| over all of them.

    `sums` (H, W, K), of one picture each. If that percentile is zero and some pixels are not,
    returns the largest magnitude; 0.0 only when all are zero. Raises InvalidOptionError.
    """
    if not 0 < percentile <= 100:
        raise InvalidOptionError(
            f"percentile must be above 0 and at most 100; received {percentile}"
        )
    magnitudes = np.abs(np.concatenate([each.ravel() for each in sums]))
    return float(np.percentile(magnitudes, percentile)) or float(magnitudes.max())


@dataclass(frozen=True)
class Scale:
    """A colour scale: opaque from -bound down and +bound up, transparent at 0."""

    bound: float
    palette: Palette

    def paint(self, sums: NDArray[np.floating]) -> Image.Image:
        """Colours sums (H, W): a picture of mode RGBA."""
        shares = sums / self.bound if self.bound else np.zeros_like(sums)
        levels = np.clip((shares + 1) * 128, 0, 255).astype(np.uint8)
        return Image.fromarray(self.palette.levels[levels])
