"""Plots the curves in a chart's panel: lines, dashes and markers, antialiased by supersampling.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), without yellow, which is
hard to see on white: https://jfly.uni-koeln.de/color/. Markers distinguish outputs without colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.render.curves import ChartCurve
from service.render.layout import Size
from service.render.palettes import Colour

SUPERSAMPLING = 3  # factor by which drawings are enlarged, then shrunk
MARKERS = 5  # on each curve
GRID = (228, 228, 228)

Numbers = NDArray[np.float64]  # (P,)
Points = NDArray[np.float64]  # (P, 2), x and y in enlarged pixels


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


def plot(curves: Sequence[ChartCurve], axes: Axes) -> Image.Image:
    """Plots the curves of one metric over those of the random order; the k-th has STYLES[k]."""
    canvas = _Canvas.of(axes.size, axes.line_width)
    for share in (0, 0.25, 0.5, 0.75, 1):
        canvas.line(_points(axes, [share, share], [axes.low, axes.high]), GRID, 0.6)
    for mark in axes.marks:
        canvas.line(_points(axes, [0, 1], [mark, mark]), GRID, 0.6)
    styled = list(zip(curves, STYLES, strict=False))
    for curve, style in styled:
        canvas.dash(_points(axes, curve.x, curve.baseline), style.faint)
    for curve, style in styled:
        canvas.line(_points(axes, curve.x, curve.y), style.colour)
    for number, (curve, style) in enumerate(styled):
        at = (np.arange(MARKERS) + (number + 0.5) / len(styled)) / MARKERS  # side by side
        for point in _points(axes, at, np.interp(at, curve.x, curve.y)):
            canvas.mark(point, style)
    return canvas.shrunk()


def key(style: Style, size: Size, line_width: float) -> Image.Image:
    """Draws a short piece of a curve with its marker, for the legend."""
    canvas = _Canvas.of(size, line_width)
    width, height = (side * SUPERSAMPLING for side in size)
    canvas.line(np.array([[0, height / 2], [width, height / 2]]), style.colour)
    canvas.mark(np.array([width / 2, height / 2]), style)
    return canvas.shrunk()


def _points(axes: Axes, x: Sequence[float] | Numbers, y: Sequence[float] | Numbers) -> Points:
    across = np.asarray(x, float) * (axes.size[0] - 1)
    points: Points = (np.stack([across, axes.below_top(y)], axis=1) + 0.5) * SUPERSAMPLING
    return points


@dataclass(frozen=True)
class _Canvas:
    """An enlarged picture to draw on."""

    image: Image.Image
    pen: ImageDraw.ImageDraw
    thick: float

    @classmethod
    def of(cls, size: Size, line_width: float) -> "_Canvas":
        image = Image.new("RGB", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), "white")
        return cls(image, ImageDraw.Draw(image), line_width * SUPERSAMPLING)

    def line(self, points: Points, colour: Colour, thickness: float = 1) -> None:
        width = max(1, round(thickness * self.thick))
        self.pen.line(points.ravel().tolist(), colour, width, joint="curve")

    def dash(self, points: Points, colour: Colour) -> None:
        """Draws a dashed line along the points; gaps are three quarters as long as dashes."""
        length = 4 * self.thick
        along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
        for start in np.arange(0, along[-1], 1.75 * length):
            end = min(start + length, along[-1])
            between = points[(along > start) & (along < end)]
            first, last = ([np.interp(at, along, axis) for axis in points.T] for at in (start, end))
            dash = np.vstack([first, between, last])
            self.pen.line(dash.ravel().tolist(), colour, max(1, round(self.thick)))

    def mark(self, centre: Points, style: Style) -> None:
        angles = 2 * np.pi * (style.turn + np.arange(style.corners) / style.corners)
        corners = centre + 2.8 * self.thick * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        inside = (255, 255, 255) if style.hollow else style.colour
        self.pen.polygon(corners.ravel().tolist(), inside, style.colour, round(self.thick))

    def shrunk(self) -> Image.Image:
        return self.image.reduce(SUPERSAMPLING)
