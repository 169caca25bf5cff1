"""Positions of all parts of a figure, in whole pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.render.colour_bar import ColourBar
from service.render.colours import Scale
from service.render.drawing import Size
from service.render.errors import InvalidOptionError
from service.render.text import MAX_NOTE_LINES, Font, wrap

MAX_COLUMNS = 6
MAX_PIXELS = 50_000_000  # of a figure
PANEL = 240  # the longer side of a panel, unless a whole multiple of the picture is near, in pixels
PANEL_RANGE = (180, 320)  # of the longer side, within which a whole multiple is used, in pixels
MIN_CELL = 120  # pixels; leaves room for the title of a narrow picture
MARGIN, GAP, BAR_WIDTH, BAR_THICKNESS = 20, 16, 420, 10  # pixels
TITLE_SIZE, SMALL_SIZE = 14, 12  # pixels
MIN_TITLE_SIZE, MIN_SMALL_SIZE = 11, 10  # pixels


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
    title: list[str]  # its lines
    id: list[str]
    title_height: int
    bar_height: int  # of a colour bar of its own

    @property
    def bottom(self) -> int:
        return self.top + self.title_height + self.lines * self.line_height + self.bar_height


@dataclass(frozen=True)
class Layout:
    """A block for each picture, one below the other; at the bottom, the colour bar and notes."""

    width: int
    margin: int
    gap: int
    columns: int
    cell_width: int
    title_font: Font
    small_font: Font
    bar_width: int
    bar_thickness: int
    scale_by: Literal["shared", "row", "panel"]
    notes: list[str]  # their lines
    bars: int = 1  # shared by all, or of each row
    blocks: tuple[Block, ...] = ()

    @property
    def row_bar_height(self) -> int:
        """The height of a bar, its numbers and its limits, and a gap."""
        return self.bar_thickness + round(2.5 * self.small_font.line_height) + self.gap

    def bar(self, scale: Scale, top: int) -> ColourBar:
        left = (self.width - self.bar_width) // 2
        return ColourBar(scale, left, top, self.bar_width, self.bar_thickness)

    @property
    def bar_top(self) -> int:
        return self.blocks[-1].bottom + self.gap // 2

    @property
    def note_top(self) -> int:
        """The y below the colour bar, its numbers and its caption, if it is shared."""
        if self.scale_by != "shared":
            return self.bar_top
        return self.bar_top + self.bars * self.row_bar_height - self.gap

    @property
    def height(self) -> int:
        return self.note_top + len(self.notes) * self.small_font.line_height + self.margin

    def corner(self, block: Block, cell: int) -> tuple[int, int]:
        """Left and top of the panel in this cell."""
        line, column = divmod(cell, self.columns)
        pitch = self.cell_width + self.gap
        first = (self.width - self.columns * pitch + self.gap) // 2
        left = first + column * pitch + (self.cell_width - block.panel[0]) // 2
        top = block.top + block.title_height
        return left, top + line * block.line_height + block.heading_height

    def extended(
        self, panel: Size, headings: Sequence[Heading], title: tuple[str, str]
    ) -> "Layout":
        """Returns the layout with one more block at the bottom. title: what differs, and the id."""
        width = self.width - 2 * self.margin
        what, id_ = (
            wrap(text, font, width)
            for text, font in zip(title, (self.title_font, self.small_font), strict=True)
        )
        title_height = (
            len(what) * self.title_font.line_height + len(id_) * self.small_font.line_height
        )
        names = [wrap(heading.name, self.title_font, self.cell_width) for heading in headings]
        heading_height = max(map(len, names)) * self.title_font.line_height + self.gap // 4
        if any(heading.note for heading in headings):
            heading_height += self.small_font.line_height
        line_height = heading_height + panel[1] + self.gap
        if self.scale_by == "panel":  # a small bar and its limits
            line_height += self.gap // 4 + self.bar_thickness + self.small_font.line_height
        block = Block(
            top=self.blocks[-1].bottom if self.blocks else self.margin,
            lines=math.ceil(len(names) / self.columns),
            line_height=line_height,
            heading_height=heading_height,
            panel=panel,
            names=names,
            title=what,
            id=id_,
            title_height=title_height + (self.gap // 4 if title_height else 0),
            bar_height=self.bars * self.row_bar_height if self.scale_by == "row" else 0,
        )
        return replace(self, blocks=(*self.blocks, block))


def plan(
    sizes: Sequence[Size],
    headings: Sequence[Sequence[Heading]],
    *,
    width_px: int | None,
    titles: Sequence[tuple[str, str]] | None = None,
    notes: Sequence[str] = (),
    scale_by: Literal["shared", "row", "panel"] = "shared",
    columns: int | None = None,
    bars: int = 1,
) -> Layout:
    """Lays out pictures of these sizes, with a panel for each heading; the picture's own is first.

    titles: of each picture, what differs and its id; notes: texts at the bottom; columns: cells of
    a line, by default as many as fill few lines evenly; bars: colour bars. Everything scales
    with `width_px`. Raises InvalidOptionError if the page would be too large.
    """
    panels = [_panel_size(*size) for size in sizes]
    cell_width = max(MIN_CELL, *(width for width, _ in panels))
    cells = max(map(len, headings))
    lines = math.ceil(cells / MAX_COLUMNS)
    columns = columns or math.ceil(cells / lines)  # fills as few lines as possible evenly
    natural_width = 2 * MARGIN + columns * (cell_width + GAP) - GAP
    scale = (width_px or natural_width) / natural_width
    width = width_px or natural_width
    small_font = Font(max(MIN_SMALL_SIZE, round(SMALL_SIZE * scale)))
    layout = Layout(
        width=width,
        margin=round(MARGIN * scale),
        gap=round(GAP * scale),
        columns=columns,
        cell_width=max(1, math.floor(cell_width * scale)),
        title_font=Font(max(MIN_TITLE_SIZE, round(TITLE_SIZE * scale))),
        small_font=small_font,
        bar_width=round(min(BAR_WIDTH, 0.7 * natural_width) * scale),
        bar_thickness=max(2, round(BAR_THICKNESS * scale)),
        scale_by=scale_by,
        bars=bars,
        notes=[
            line
            for note in notes
            for line in wrap(note, small_font, width - 2 * round(MARGIN * scale), MAX_NOTE_LINES)
        ],
    )
    titles = titles or [("", "")] * len(panels)
    for panel, names, title in zip(panels, headings, titles, strict=True):
        across, down = (max(1, math.floor(side * scale)) for side in panel)
        layout = layout.extended((across, down), names, title)
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
