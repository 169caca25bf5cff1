"""Plots the curves in a chart's panel: lines, dashes and markers.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), without yellow, which is
hard to see on white: https://jfly.uni-koeln.de/color/. Markers distinguish outputs without colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.render.curves import ChartCurve
from service.render.drawing import Points, Size, Stroke
from service.render.palettes import Colour

MARKERS = 5  # on each curve
GRID = (228, 228, 228)

Numbers = NDArray[np.float64]  # (P,)


@dataclass(frozen=True)
class Style:
    """The look of one output's curves."""

    colour: Colour
    corners: int  # of the marker
    turn: float  # of its first corner, in whole turns from the right, clockwise
    hollow: bool = False

    @property
    def faint(self) -> Colour:
        """The colour for the random order."""
        red, green, blue = ((part + 255) // 2 for part in self.colour)
        return red, green, blue


STYLES = (
    Style((0, 114, 178), 24, 0),  # a disc
    Style((213, 94, 0), 4, 1 / 8),  # a square
    Style((0, 158, 115), 3, 3 / 4),  # a triangle
    Style((204, 121, 167), 4, 0),  # a diamond
    Style((230, 159, 0), 3, 1 / 4),  # a triangle on its tip
    Style((86, 180, 233), 24, 0, hollow=True),
    Style((0, 0, 0), 4, 1 / 8, hollow=True),
)


@dataclass(frozen=True)
class Axes:
    """The range of scores, the marks on it, and the plot's size and lines in pixels."""

    low: float
    high: float
    marks: Sequence[float]
    size: Size
    line_width: float

    def below_top(self, scores: Sequence[float] | Numbers) -> Numbers:
        """Returns the distance of scores below the top of the plot, in pixels."""
        return (self.high - np.asarray(scores)) / (self.high - self.low) * (self.size[1] - 1)


def plot(curves: Sequence[ChartCurve], axes: Axes) -> list[Stroke]:
    """Plots the curves of one metric over those of the random order; the k-th has STYLES[k]."""
    wide = axes.line_width
    levels = [([share, share], [axes.low, axes.high]) for share in (0, 0.25, 0.5, 0.75, 1)]
    levels += [([0, 1], [mark, mark]) for mark in axes.marks]
    strokes = [Stroke(_points(axes, x, y), GRID, 0.6 * wide) for x, y in levels]
    styled = list(zip(curves, STYLES, strict=False))
    for curve, style in styled:
        random_order = _points(axes, curve.x, curve.baseline)
        strokes.append(Stroke(random_order, style.faint, wide, dashed=True))
    for curve, style in styled:
        strokes.append(Stroke(_points(axes, curve.x, curve.y), style.colour, wide))
    for number, (curve, style) in enumerate(styled):
        at = (np.arange(MARKERS) + (number + 0.5) / len(styled)) / MARKERS  # side by side
        points = _points(axes, at, np.interp(at, curve.x, curve.y))
        strokes += [_marker(point, style, wide) for point in points]
    return strokes


def key(style: Style, size: Size, line_width: float) -> list[Stroke]:
    """Draws a short piece of a curve with its marker, for the legend."""
    width, height = size
    line = Stroke(np.array([[0, height / 2], [width, height / 2]]), style.colour, line_width)
    return [line, _marker(np.array([width / 2, height / 2]), style, line_width)]


def _points(axes: Axes, x: Sequence[float] | Numbers, y: Sequence[float] | Numbers) -> Points:
    across = np.asarray(x, float) * (axes.size[0] - 1)
    points: Points = np.stack([across, axes.below_top(y)], axis=1) + 0.5
    return points


def _marker(centre: Numbers, style: Style, line_width: float) -> Stroke:
    angles = 2 * np.pi * (style.turn + np.arange(style.corners) / style.corners)
    corners = centre + 2.8 * line_width * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inside = (255, 255, 255) if style.hollow else style.colour
    return Stroke(corners, style.colour, line_width, inside=inside)
