"""Attribution arrays -> PNG: `figure` with labels, `overlay` on the picture, `heat` as a layer.

Faithfulness curves -> PNG: `faithfulness_chart`.
"""

from service.render.attributions import NAMES, Attributions, attributions_of, load_attributions
from service.render.chart import faithfulness_chart
from service.render.colours import channel_sums, limit
from service.render.curves import METRICS, ChartCurve
from service.render.errors import (
    InvalidAttributionsError,
    InvalidCurvesError,
    InvalidOptionError,
    RenderError,
)
from service.render.layers import MAX_LAYER_PIXELS, Box, heat, overlay
from service.render.layout import MAX_COLUMNS, MAX_PIXELS, Size
from service.render.names import disambiguate
from service.render.page import figure
from service.render.palettes import PALETTES, PaletteName
from service.render.row import Row

__all__ = [
    "MAX_COLUMNS",
    "MAX_LAYER_PIXELS",
    "MAX_PIXELS",
    "METRICS",
    "NAMES",
    "PALETTES",
    "Attributions",
    "Box",
    "ChartCurve",
    "InvalidAttributionsError",
    "InvalidCurvesError",
    "InvalidOptionError",
    "PaletteName",
    "RenderError",
    "Row",
    "Size",
    "attributions_of",
    "channel_sums",
    "disambiguate",
    "faithfulness_chart",
    "figure",
    "heat",
    "limit",
    "load_attributions",
    "overlay",
]
