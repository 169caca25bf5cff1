"""A chart of faithfulness curves: a panel for each metric, with a legend that lists areas."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from service.render.alt_text import AltText, join_names
from service.render.curves import METRICS, ChartCurve
from service.render.errors import InvalidCurvesError, InvalidOptionError
from service.render.fonts import can_write
from service.render.names import by_index
from service.render.plot import STYLES, Axes, key, plot
from service.render.raster import png
from service.render.sheet import ChartLayout
from service.render.text import FAINT_INK, INK, MINUS, Anchor, format_numbers, truncate

MIN_WIDTH, MAX_WIDTH = 240, 4096  # pixels
NOTE = "Solid: in the order of the attributions. Dashed: in a random order."

Metrics = dict[str, list[ChartCurve]]


def faithfulness_chart(curves: Sequence[ChartCurve], *, width_px: int | None = None) -> bytes:
    """Draws a panel for each metric, in the order given, with curves of the first 7 outputs.

    The random order is dashed, in a fainter tone; all panels share one range of scores. `width_px`
    sets the width of the chart. Raises InvalidCurvesError, InvalidOptionError.
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
    page = Image.new("RGB", (sheet.width, sheet.height), "white")
    for number, (metric, group) in enumerate(metrics.items()):
        page.paste(_panel(metric, group, sheet, axes), sheet.corner(number))
    for number, line in enumerate(sheet.note):
        at = sheet.corner(0)[0], sheet.note_top + number * sheet.line
        _write(page, at, line, sheet, FAINT_INK)
    return png(page, _text(metrics))


def _axes(metrics: Metrics, sheet: ChartLayout) -> Axes:
    """Axes that span all curves, with a margin of 5 %."""
    scores = [score for group in metrics.values() for c in group for score in (*c.y, *c.baseline)]
    low, high = float(min(scores)), float(max(scores))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    marks = [float(mark) for mark in MaxNLocator(5).tick_values(low, high) if low <= mark <= high]
    return Axes(low, high, marks, size=sheet.plot, line_width=max(1, 1.7 * sheet.scale))


def _panel(
    metric: str, curves: Sequence[ChartCurve], sheet: ChartLayout, axes: Axes
) -> Image.Image:
    """Draws, from top to bottom, the metric's title and order, the curves, the legend."""
    panel = Image.new("RGB", sheet.panel, "white")
    about = METRICS[metric]
    sheet.title_font.write(ImageDraw.Draw(panel), (0, 0), about.title, INK)
    top = round(1.3 * sheet.title_font.line_height)
    _write(panel, (0, top), about.order.capitalize(), sheet, FAINT_INK)
    _write(panel, (0, top + sheet.line), f"A faithful curve {about.hoped}", sheet, FAINT_INK)
    _write(panel, (0, top + 2 * sheet.line), "Score", sheet, INK)
    top += 3 * sheet.line
    panel.paste(plot(curves, axes), (sheet.ticks, top))

    # Scores left of the plot; shares, and their meaning, below it
    pen, font = ImageDraw.Draw(panel), sheet.small_font
    beside = sheet.ticks - sheet.line // 3
    for down, label in zip(axes.below_top(axes.marks), format_numbers(axes.marks), strict=True):
        font.write(pen, (beside, top + float(down)), label, INK, "rm")
    width, height = axes.size
    anchors: list[tuple[float, Anchor]] = [(0, "la"), (0.5, "ma"), (1, "ra")]
    for share, anchor in anchors:
        right = sheet.ticks + share * (width - 1)
        font.write(pen, (right, top + height + sheet.line // 5), f"{share:.0%}", INK, anchor)
    middle = sheet.ticks + width / 2, top + height + sheet.line * 6 // 5
    font.write(pen, middle, f"share of elements {about.done}", INK, "ma")

    _draw_legend(panel, top + axes.size[1] + 2 * sheet.line, curves, sheet, axes.line_width)
    return panel


def _draw_legend(
    panel: Image.Image,
    top: int,
    curves: Sequence[ChartCurve],
    sheet: ChartLayout,
    line_width: float,
) -> None:
    """Draws a row for each output: marker, name, its area and that of the random order."""
    pen, font = ImageDraw.Draw(panel), sheet.small_font
    right, key_size = sheet.panel[0], (3 * sheet.line // 2, sheet.line)
    columns = right - 4 * sheet.line, right
    for at, word in zip(columns, ("area", "random"), strict=True):
        font.write(pen, (at, top + sheet.line // 2), word, FAINT_INK, "rm")
    for number, (curve, style) in enumerate(zip(curves, STYLES, strict=False), start=1):
        middle = top + number * sheet.line + sheet.line // 2
        panel.paste(key(style, key_size, line_width), (0, middle - sheet.line // 2))
        name = curve.label if can_write(curve.label) else by_index(curve.output)
        name = truncate(name, font, columns[0] - key_size[0] - 4 * sheet.line)
        font.write(pen, (key_size[0] + sheet.line // 2, middle), name, INK, "lm")
        for at, area in zip(columns, (curve.area, curve.baseline_area), strict=True):
            font.write(pen, (at, middle), _area(area), INK, "rm")


def _write(
    page: Image.Image, at: tuple[int, int], text: str, sheet: ChartLayout, ink: tuple[int, int, int]
) -> None:
    """Writes one line, truncated at the right edge."""
    font = sheet.small_font
    font.write(ImageDraw.Draw(page), at, truncate(text, font, page.width - at[0]), ink)


def _area(area: float) -> str:
    return f"{area:#.3g}".rstrip(".").replace("-", MINUS)


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
        f"{curve.label} has area {curve.area:.3g}, at random {curve.baseline_area:.3g}"
        for curve in curves
    )
