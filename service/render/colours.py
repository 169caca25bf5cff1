"""From attributions to colours: red speaks for the output, blue against, transparent is zero.

Colours and normalisation are those of shap's image plot, so that the two can be read side by side.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from service.render.attributions import BadOption

RED = (255 / 255, 13 / 255, 87 / 255)
BLUE = (30 / 255, 136 / 255, 229 / 255)

# Each colour fades over 100 of 200 equidistant stops; the middle two are both fully transparent.
RED_TRANSPARENT_BLUE = LinearSegmentedColormap.from_list(
    "red_transparent_blue",
    [(0, (*BLUE, 1.0)), (99 / 199, (*BLUE, 0.0)), (100 / 199, (*RED, 0.0)), (1, (*RED, 1.0))],
)
LEVELS: NDArray[np.uint8] = RED_TRANSPARENT_BLUE(np.arange(256), bytes=True)  # (256, 4) RGBA


def channel_sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """What is drawn: values (H, W, C, K) summed over the channels -> (H, W, K) float64."""
    sums = values[:, :, 0].astype(np.float64)
    for channel in range(1, values.shape[2]):  # eight times as fast as sum(axis=2)
        sums += values[:, :, channel]
    return sums


def limit(values: NDArray[np.float32], percentile: float = 99.9) -> float:
    """The magnitude at which colours saturate: a percentile of |channel sums| over all outputs.

    `values` (H, W, C, K). Where that percentile is zero though a few pixels are not, the largest
    magnitude; 0.0 only when all are zero. Raises BadOption.
    """
    if not 0 < percentile <= 100:
        raise BadOption(f"percentile must be above 0 and at most 100; received {percentile}")
    magnitudes = np.abs(channel_sums(values))
    return float(np.percentile(magnitudes, percentile)) or float(magnitudes.max())


def paint(sums: NDArray[np.floating], bound: float) -> NDArray[np.uint8]:
    """Sums (H, W) -> RGBA (H, W, 4): -bound is opaque blue, 0 transparent, +bound opaque red."""
    shares = sums / bound if bound else np.zeros_like(sums)
    levels = np.clip((shares + 1) * 128, 0, 255).astype(np.uint8)
    colours: NDArray[np.uint8] = LEVELS[levels]
    return colours
