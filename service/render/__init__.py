"""Attribution arrays -> PNG, SVG or PDF: `figure` with labels, `overlay`, `heat` as a layer.

Faithfulness curves -> the same formats: `faithfulness_chart`.
"""

from service.render.attributions import (
    NAMES,
    REGION_NAMES,
    Attributions,
    Unit,
    attributions_of,
    load_attributions,
)
from service.render.chart import faithfulness_chart
from service.render.colours import channel_sums, limit
from service.render.curves import METRICS, ChartCurve
from service.render.drawing import Size
from service.render.errors import (
    InvalidAttributionsError,
    InvalidCurvesError,
    InvalidOptionError,
    RenderError,
)
from service.render.formats import FORMATS, Format
from service.render.interactions import LINES_BYTES, Pairs, interactions
from service.render.layers import MAX_LAYER_PIXELS, Box, heat, overlay
from service.render.layout import MAX_COLUMNS, MAX_PIXELS
from service.render.names import disambiguate
from service.render.page import ScaleBy, figure
from service.render.palettes import PALETTES, PaletteName
from service.render.provenance import Provenance
from service.render.row import Row

__all__ = [
    "FORMATS",
    "LINES_BYTES",
    "MAX_COLUMNS",
    "MAX_LAYER_PIXELS",
    "MAX_PIXELS",
    "METRICS",
    "NAMES",
    "PALETTES",
    "REGION_NAMES",
    "Attributions",
    "Box",
    "ChartCurve",
    "Format",
    "InvalidAttributionsError",
    "InvalidCurvesError",
    "InvalidOptionError",
    "Pairs",
    "PaletteName",
    "Provenance",
    "RenderError",
    "Row",
    "ScaleBy",
    "Size",
    "Unit",
    "attributions_of",
    "channel_sums",
    "disambiguate",
    "faithfulness_chart",
    "figure",
    "heat",
    "interactions",
    "limit",
    "load_attributions",
    "overlay",
]
