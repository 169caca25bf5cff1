"""Where everything stands in a figure, in whole pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.render.text import Font, load_font, wrap

MAX_COLUMNS = 6
PANEL = 240  # pixels, the longer side of a panel unless whole multiples of the picture come close
PANEL_RANGE = (180, 320)  # pixels, what comes close
MIN_CELL = 120  # pixels, so that a narrow picture leaves room for its title
MARGIN, GAP, BAR_WIDTH, BAR_THICKNESS = 20, 16, 420, 10  # pixels
TITLE_SIZE, SMALL_SIZE = 14, 12  # pixels
MIN_TITLE_SIZE, MIN_SMALL_SIZE = 11, 10  # pixels


@dataclass(frozen=True)
class Layout:
    """A grid of cells counted by rows, each a title above a panel; the colour bar below them."""

    width: int
    margin: int
    gap: int
    columns: int
    rows: int
    cell_width: int
    panel: tuple[int, int]  # width, height
    titles: list[list[str]]  # lines of the name, for each output
    title_font: Font
    small_font: Font
    title_height: int
    bar_width: int
    bar_thickness: int

    @property
    def row_height(self) -> int:
        return self.title_height + self.panel[1] + self.gap

    @property
    def bar_top(self) -> int:
        return self.margin + self.rows * self.row_height + self.gap // 2

    @property
    def height(self) -> int:
        numbers_and_caption = round(2.5 * self.small_font.line_height)
        return self.bar_top + self.bar_thickness + numbers_and_caption + self.margin

    def corner(self, cell: int) -> tuple[int, int]:
        """Left and top of the panel in this cell."""
        row, column = divmod(cell, self.columns)
        pitch = self.cell_width + self.gap
        first = (self.width - self.columns * pitch + self.gap) // 2
        left = first + column * pitch + (self.cell_width - self.panel[0]) // 2
        return left, self.margin + row * self.row_height + self.title_height


def plan(
    names: Sequence[str], picture: tuple[int, int], *, scored: bool, width_px: int | None
) -> Layout:
    """Lay out a `picture` (width, height) and a panel for each name; all scales with `width_px`."""
    columns, rows = _grid(len(names) + 1)
    panel_width, panel_height = _panel_size(*picture)
    cell_width = max(panel_width, MIN_CELL)
    natural_width = 2 * MARGIN + columns * (cell_width + GAP) - GAP
    width = width_px or natural_width
    scale = width / natural_width

    title_font = load_font(max(MIN_TITLE_SIZE, round(TITLE_SIZE * scale)))
    small_font = load_font(max(MIN_SMALL_SIZE, round(SMALL_SIZE * scale)))
    titles = [wrap(name, title_font, max(1, round(cell_width * scale))) for name in names]
    lines = max(len(title) for title in titles)
    return Layout(
        width=width,
        margin=round(MARGIN * scale),
        gap=round(GAP * scale),
        columns=columns,
        rows=rows,
        cell_width=max(1, math.floor(cell_width * scale)),
        panel=(max(1, math.floor(panel_width * scale)), max(1, math.floor(panel_height * scale))),
        titles=titles,
        title_font=title_font,
        small_font=small_font,
        title_height=lines * title_font.line_height
        + scored * small_font.line_height
        + round(GAP * scale / 4),
        bar_width=round(min(BAR_WIDTH, 0.7 * natural_width) * scale),
        bar_thickness=max(2, round(BAR_THICKNESS * scale)),
    )


def _grid(cells: int) -> tuple[int, int]:
    """Columns and rows: as few rows as allowed, then as even as can be."""
    rows = math.ceil(cells / MAX_COLUMNS)
    return math.ceil(cells / rows), rows


def _panel_size(width: int, height: int) -> tuple[int, int]:
    """Whole multiples of the picture where they fit the range, so that pixels stay square."""
    longer = max(width, height)
    multiple = round(PANEL / longer)
    fits = PANEL_RANGE[0] <= multiple * longer <= PANEL_RANGE[1]
    scale = multiple if fits else PANEL / longer
    return max(1, round(width * scale)), max(1, round(height * scale))
