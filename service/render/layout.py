"""Positions of all parts of a figure, in whole pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.render.errors import InvalidOptionError
from service.render.text import Font, wrap

MAX_COLUMNS = 6
MAX_PIXELS = 50_000_000  # of a figure
PANEL = 240  # the longer side of a panel, unless a whole multiple of the picture is near, in pixels
PANEL_RANGE = (180, 320)  # of the longer side, within which a whole multiple is used, in pixels
MIN_CELL = 120  # pixels; leaves room for the title of a narrow picture
MARGIN, GAP, BAR_WIDTH, BAR_THICKNESS = 20, 16, 420, 10  # pixels
TITLE_SIZE, SMALL_SIZE = 14, 12  # pixels
MIN_TITLE_SIZE, MIN_SMALL_SIZE = 11, 10  # pixels

Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Heading:
    """The text above a panel: a name, which may be wrapped, and a small note."""

    name: str = ""
    note: str = ""


@dataclass(frozen=True)
class Block:
    """The cells of one picture in lines; each cell is a heading above a panel."""

    top: int
    lines: int
    line_height: int
    heading_height: int
    panel: Size
    names: list[list[str]]  # for each cell, the lines of its name

    @property
    def bottom(self) -> int:
        return self.top + self.lines * self.line_height


@dataclass(frozen=True)
class Layout:
    """A block for each picture, one below the other, and the colour bar at the bottom."""

    width: int
    margin: int
    gap: int
    columns: int
    cell_width: int
    title_font: Font
    small_font: Font
    bar_width: int
    bar_thickness: int
    blocks: tuple[Block, ...] = ()

    @property
    def bar_top(self) -> int:
        return self.blocks[-1].bottom + self.gap // 2

    @property
    def height(self) -> int:
        numbers_and_caption = round(2.5 * self.small_font.line_height)
        return self.bar_top + self.bar_thickness + numbers_and_caption + self.margin

    def corner(self, block: Block, cell: int) -> tuple[int, int]:
        """Left and top of the panel in this cell."""
        line, column = divmod(cell, self.columns)
        pitch = self.cell_width + self.gap
        first = (self.width - self.columns * pitch + self.gap) // 2
        left = first + column * pitch + (self.cell_width - block.panel[0]) // 2
        return left, block.top + line * block.line_height + block.heading_height

    def extended(self, panel: Size, headings: Sequence[Heading]) -> "Layout":
        """Returns the layout with one more block at the bottom."""
        names = [wrap(heading.name, self.title_font, self.cell_width) for heading in headings]
        heading_height = max(map(len, names)) * self.title_font.line_height + self.gap // 4
        if any(heading.note for heading in headings):
            heading_height += self.small_font.line_height
        block = Block(
            top=self.blocks[-1].bottom if self.blocks else self.margin,
            lines=math.ceil(len(names) / self.columns),
            line_height=heading_height + panel[1] + self.gap,
            heading_height=heading_height,
            panel=panel,
            names=names,
        )
        return replace(self, blocks=(*self.blocks, block))


def plan(
    sizes: Sequence[Size], headings: Sequence[Sequence[Heading]], *, width_px: int | None
) -> Layout:
    """Lays out pictures of these sizes, with a panel for each heading; the picture's own is first.

    Everything scales with `width_px`. Raises InvalidOptionError if the page would be too large.
    """
    panels = [_panel_size(*size) for size in sizes]
    cell_width = max(MIN_CELL, *(width for width, _ in panels))
    cells = max(map(len, headings))
    lines = math.ceil(cells / MAX_COLUMNS)
    columns = math.ceil(cells / lines)  # fills as few lines as possible evenly
    natural_width = 2 * MARGIN + columns * (cell_width + GAP) - GAP
    scale = (width_px or natural_width) / natural_width
    layout = Layout(
        width=width_px or natural_width,
        margin=round(MARGIN * scale),
        gap=round(GAP * scale),
        columns=columns,
        cell_width=max(1, math.floor(cell_width * scale)),
        title_font=Font(max(MIN_TITLE_SIZE, round(TITLE_SIZE * scale))),
        small_font=Font(max(MIN_SMALL_SIZE, round(SMALL_SIZE * scale))),
        bar_width=round(min(BAR_WIDTH, 0.7 * natural_width) * scale),
        bar_thickness=max(2, round(BAR_THICKNESS * scale)),
    )
    for (width, height), names in zip(panels, headings, strict=True):
        panel = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
        layout = layout.extended(panel, names)
    if layout.width * layout.height > MAX_PIXELS:
        raise InvalidOptionError(
            f"a figure may have {MAX_PIXELS} pixels; these pictures and outputs would take "
            f"{layout.width} x {layout.height}: ask for fewer of them, or a smaller width"
        )
    return layout


def _panel_size(width: int, height: int) -> Size:
    """Scales a picture to a panel, by a whole factor if one is in range: pixels stay square."""
    longer = max(width, height)
    multiple = round(PANEL / longer)
    fits = PANEL_RANGE[0] <= multiple * longer <= PANEL_RANGE[1]
    scale = multiple if fits else PANEL / longer
    return max(1, round(width * scale)), max(1, round(height * scale))
