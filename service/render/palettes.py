"""Pairs of colours for credit: the first speaks for an output, the second against it.

As in shap's image plot, a colour fades to full transparency at zero. `red_blue` has shap's colours.
The others stay apart for eyes that lack a kind of cone, also where they are faint:

- `orange_blue`: vermillion and blue of Okabe and Ito, "Color Universal Design" (2008),
  https://jfly.uni-koeln.de/color/
- `orange_purple`: the ends of PuOr (four classes) of Harrower and Brewer, "ColorBrewer.org: An
  Online Tool for Selecting Colour Schemes for Maps" (2003), https://colorbrewer2.org
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from service.render.errors import InvalidOptionError

Colour = tuple[int, int, int]  # red, green, blue in 0..255
PaletteName = Literal["red_blue", "orange_blue", "orange_purple"]


@dataclass(frozen=True)
class Palette:
    """Two colours and their names."""

    positive_name: str
    positive: Colour
    negative_name: str
    negative: Colour

    @cached_property
    def levels(self) -> NDArray[np.uint8]:
        """Opaque negative, through transparency, to opaque positive: (256, 4) RGBA.

        Each colour fades over 100 of 200 equidistant stops; the middle two are transparent.
        """
        negative, positive = ([part / 255 for part in c] for c in (self.negative, self.positive))
        stops = [
            (0, (*negative, 1.0)),
            (99 / 199, (*negative, 0.0)),
            (100 / 199, (*positive, 0.0)),
            (1, (*positive, 1.0)),
        ]
        map_ = LinearSegmentedColormap.from_list("palette", stops)
        levels: NDArray[np.uint8] = map_(np.arange(256), bytes=True)
        return levels


PALETTES: dict[PaletteName, Palette] = {
    "red_blue": Palette("red", (255, 13, 87), "blue", (30, 136, 229)),
    "orange_blue": Palette("orange", (213, 94, 0), "blue", (0, 114, 178)),
    "orange_purple": Palette("orange", (230, 97, 1), "purple", (94, 60, 153)),
}


def find_palette(name: PaletteName) -> Palette:
    """Returns the palette of that name. Raises InvalidOptionError."""
    if name not in PALETTES:
        raise InvalidOptionError(f"palette must be one of {', '.join(PALETTES)}; received {name!r}")
    return PALETTES[name]
