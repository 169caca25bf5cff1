"""Positions and sizes of the parts of a chart, in whole pixels."""

import math
from dataclasses import dataclass

from service.render.drawing import Size
from service.render.layout import MIN_SMALL_SIZE, MIN_TITLE_SIZE, SMALL_SIZE, TITLE_SIZE
from service.render.text import Font, wrap

MAX_COLUMNS = 4
MIN_PANEL_WIDTH = 250  # pixels; narrower panels are stacked
PANEL, PLOT_HEIGHT, TICKS, MARGIN, GAP = 330, 180, 46, 20, 28  # pixels
LINE = 1.25  # of a small text line's height, with spacing


@dataclass(frozen=True)
class ChartLayout:
    """A grid of equal panels with a note below; everything scales with the width."""

    width: int
    columns: int
    rows: int
    legend_lines: int
    note: list[str]
    scale: float
    title_font: Font
    small_font: Font

    @classmethod
    def of(
        cls, panels: int, *, legend_lines: int, note: str, width_px: int | None
    ) -> "ChartLayout":
        fitting = width_px // MIN_PANEL_WIDTH if width_px else MAX_COLUMNS
        rows = math.ceil(panels / max(1, min(MAX_COLUMNS, fitting)))
        columns = math.ceil(panels / rows)
        natural_width = 2 * MARGIN + columns * (PANEL + GAP) - GAP
        width = width_px or natural_width
        scale = width / natural_width
        small_font = Font(max(MIN_SMALL_SIZE, round(SMALL_SIZE * scale)))
        return cls(
            width=width,
            columns=columns,
            rows=rows,
            legend_lines=legend_lines,
            note=wrap(note, small_font, width - 2 * round(MARGIN * scale)),
            scale=scale,
            title_font=Font(max(MIN_TITLE_SIZE, round(TITLE_SIZE * scale))),
            small_font=small_font,
        )

    def px(self, natural: float) -> int:
        return max(1, round(natural * self.scale))

    @property
    def line(self) -> int:
        return round(LINE * self.small_font.line_height)

    @property
    def panel(self) -> Size:
        width = (self.width - 2 * self.px(MARGIN) + self.px(GAP)) // self.columns - self.px(GAP)
        lines = 6 + self.legend_lines  # order, hope, score; shares, their meaning, areas
        height = round(1.3 * self.title_font.line_height) + lines * self.line
        return width, height + self.px(PLOT_HEIGHT)

    @property
    def plot(self) -> Size:
        return self.panel[0] - self.ticks, self.px(PLOT_HEIGHT)

    @property
    def ticks(self) -> int:
        """The width left of the plot, for its numbers."""
        return max(self.px(TICKS), 4 * self.small_font.line_height * 2 // 3)

    @property
    def note_top(self) -> int:
        return self.px(MARGIN) + self.rows * (self.panel[1] + self.px(GAP))

    @property
    def height(self) -> int:
        return self.note_top + len(self.note) * self.line + self.px(MARGIN)

    def corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.columns)
        width, height = (side + self.px(GAP) for side in self.panel)
        return self.px(MARGIN) + column * width, self.px(MARGIN) + row * height
