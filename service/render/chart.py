"""A chart of faithfulness curves: a panel for each metric, with a legend that lists areas."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.ticker import MaxNLocator

from service.render.alt_text import AltText, join_names
from service.render.curves import METRICS, ChartCurve
from service.render.drawing import Drawing
from service.render.errors import InvalidCurvesError, InvalidOptionError
from service.render.fonts import can_write
from service.render.formats import Format, written
from service.render.names import by_index
from service.render.plot import STYLES, Axes, key, plot
from service.render.provenance import Provenance, metadata
from service.render.sheet import ChartLayout
from service.render.text import (
    FAINT_INK,
    INK,
    MINUS,
    Anchor,
    format_numbers,
    short_numbers,
    truncate,
)

MIN_WIDTH, MAX_WIDTH = 240, 4096  # pixels
NOTE = "Solid: in the order of the attributions. Dashed: in a random order."

Metrics = dict[str, list[ChartCurve]]


def faithfulness_chart(
    curves: Sequence[ChartCurve],
    *,
    width_px: int | None = None,
    origin: Provenance | None = None,
    form: Format = "png",
) -> bytes:
    """Draws a panel for each metric, in the order given, with curves of the first 7 outputs.

    The random order is dashed, in a fainter tone; all panels share one range of scores. `width_px`
    sets the width of the chart; `origin` is stored in its metadata. Raises
    InvalidCurvesError, InvalidOptionError.
    """
    if not curves:
        raise InvalidCurvesError("a chart shows one curve or more; received none")
    if width_px is not None and not MIN_WIDTH <= width_px <= MAX_WIDTH:
        raise InvalidOptionError(
            f"width_px must be in {MIN_WIDTH}..{MAX_WIDTH}; received {width_px}"
        )
    metrics: Metrics = {}
    for curve in curves:
        metrics.setdefault(curve.metric, []).append(curve)
    left_out = max(map(len, metrics.values())) - len(STYLES)
    metrics = {metric: group[: len(STYLES)] for metric, group in metrics.items()}
    legend_lines = max(map(len, metrics.values()))
    note = f"{NOTE} {left_out} more outputs are not shown." if left_out > 0 else NOTE
    sheet = ChartLayout.of(len(metrics), legend_lines=legend_lines, note=note, width_px=width_px)
    axes = _axes(metrics, sheet)
    page = Drawing((sheet.width, sheet.height))
    for number, (metric, group) in enumerate(metrics.items()):
        _draw_panel(page, sheet.corner(number), metric, group, sheet, axes)
    for number, line in enumerate(sheet.note):
        at = sheet.corner(0)[0], sheet.note_top + number * sheet.line
        page.write(sheet.small_font, at, line, FAINT_INK)
    text = replace(_text(metrics), metadata=metadata([origin] if origin else []))
    return written(page, text, form)


def _axes(metrics: Metrics, sheet: ChartLayout) -> Axes:
    """Axes that span all curves, with a margin of 5 %."""
    scores = [score for group in metrics.values() for c in group for score in (*c.y, *c.baseline)]
    low, high = float(min(scores)), float(max(scores))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    marks = [float(mark) for mark in MaxNLocator(5).tick_values(low, high) if low <= mark <= high]
    return Axes(low, high, marks, size=sheet.plot, line_width=max(1, 1.7 * sheet.scale))


def _draw_panel(
    page: Drawing,
    corner: tuple[int, int],
    metric: str,
    curves: Sequence[ChartCurve],
    sheet: ChartLayout,
    axes: Axes,
) -> None:
    """Draws, from top to bottom, the metric's title and order, the curves, the legend."""
    left, top = corner
    about, width = METRICS[metric], sheet.panel[0]
    page.write(sheet.title_font, corner, about.title, INK)
    top += round(1.3 * sheet.title_font.line_height)
    for line, ink in (
        (about.order.capitalize(), FAINT_INK),
        (f"A faithful curve {about.hoped}", FAINT_INK),
        ("Score", INK),
    ):
        _write(page, (left, top), line, sheet, ink)
        top += sheet.line
    page.plot(plot(curves, axes), (left + sheet.ticks, top), axes.size)

    # Scores left of the plot; shares, and their meaning, below it
    font, beside = sheet.small_font, left + sheet.ticks - sheet.line // 3
    for down, label in zip(axes.below_top(axes.marks), format_numbers(axes.marks), strict=True):
        page.write(font, (beside, top + float(down)), label, INK, "rm")
    across, bottom = axes.size[0], top + axes.size[1]
    anchors: list[tuple[float, Anchor]] = [(0, "la"), (0.5, "ma"), (1, "ra")]
    for share, anchor in anchors:
        right = left + sheet.ticks + share * (across - 1)
        page.write(font, (right, bottom + sheet.line // 5), f"{share:.0%}", INK, anchor)
    middle = left + sheet.ticks + across / 2, bottom + sheet.line * 6 // 5
    page.write(font, middle, f"share of elements {about.done}", INK, "ma")

    # A row for each output: marker, name, its area and that of the random order
    areas = short_numbers([each for c in curves for each in (c.area, c.baseline_area)])
    numbers = [number.replace("-", MINUS) for number in areas]
    widest = [round(max(map(font.width, each))) for each in (numbers[::2], numbers[1::2])]
    columns = width - max(4 * sheet.line, widest[1] + sheet.line), width
    names_end, key_size = columns[0] - widest[0] - sheet.line, (3 * sheet.line // 2, sheet.line)
    top = bottom + 2 * sheet.line
    for at, word in zip(columns, ("area", "random"), strict=True):
        page.write(font, (left + at, top + sheet.line // 2), word, FAINT_INK, "rm")
    for number, (curve, style) in enumerate(zip(curves, STYLES, strict=False), start=1):
        y = top + number * sheet.line
        page.plot(key(style, key_size, axes.line_width), (left, y), key_size)
        name = curve.label if can_write(curve.label) else by_index(curve.output)
        start, middle_y = key_size[0] + sheet.line // 2, y + sheet.line // 2
        name = truncate(name, font, max(0, names_end - start))
        page.write(font, (left + start, middle_y), name, INK, "lm")
        for at, area in zip(columns, numbers[2 * number - 2 : 2 * number], strict=True):
            page.write(font, (left + at, middle_y), area, INK, "rm")


def _write(
    page: Drawing, at: tuple[int, int], text: str, sheet: ChartLayout, ink: tuple[int, int, int]
) -> None:
    """Writes one line, truncated at the right edge of its panel."""
    font = sheet.small_font
    page.write(font, at, truncate(text, font, sheet.panel[0]), ink)


def _text(metrics: Metrics) -> AltText:
    sentences = [
        f"{METRICS[metric].title}, {METRICS[metric].order}: {_areas(curves)}."
        for metric, curves in metrics.items()
    ]
    names = join_names([curve.label for curves in metrics.values() for curve in curves])
    start = "Curves of the score as elements are shown or hidden, and those of a random order."
    return AltText(f"Faithfulness of the attributions of {names}", " ".join([start, *sentences]))


def _areas(curves: Sequence[ChartCurve]) -> str:
    return "; ".join(
        f"{curve.label} has area {area}, at random {at_random}"
        for curve in curves
        for area, at_random in [short_numbers([curve.area, curve.baseline_area])]
    )
