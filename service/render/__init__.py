"""Attribution arrays -> PNG: `figure` to read, `overlay` to look at, `heat` to lay over a page."""

from service.render.attributions import (
    Attributions,
    BadAttributions,
    BadOption,
    RenderError,
    load_attributions,
)
from service.render.colours import RED_TRANSPARENT_BLUE, channel_sums, limit
from service.render.layers import heat, overlay
from service.render.page import figure

__all__ = [
    "RED_TRANSPARENT_BLUE",
    "Attributions",
    "BadAttributions",
    "BadOption",
    "RenderError",
    "channel_sums",
    "figure",
    "heat",
    "limit",
    "load_attributions",
    "overlay",
]
