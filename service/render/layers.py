"""One output as a layer: on the picture it explains (`overlay`) or by itself (`heat`)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.render import alt_text
from service.render.alt_text import AltText
from service.render.attributions import Attributions, Unit
from service.render.colour_bar import ColourBar
from service.render.colours import Scale, Sums, limit
from service.render.drawing import Drawing, Size
from service.render.errors import InvalidOptionError
from service.render.formats import Format, written
from service.render.layout import SMALL_SIZE, TITLE_SIZE
from service.render.palettes import PaletteName, find_palette
from service.render.provenance import SEPARATOR, Provenance, common, metadata
from service.render.raster import resized, rgb_picture
from service.render.text import FAINT_INK, INK, MAX_NOTE_LINES, MINUS, Font, short_numbers, wrap

LEGEND_WIDTH, MIN_LEGEND_WIDTH = 600, 360  # pixels; text grows with pictures wider than the first
MAX_LAYER_PIXELS = 4096 * 4096  # of a layer

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive

LIGHTER = 90  # of 255; black is lifted to this level
HATCHING = (190, 190, 190)


def overlay(
    attributions: Attributions,
    *,
    picture: NDArray[np.uint8] | None = None,
    crop: Box | None = None,
    percentile: float = 99.9,
    alpha: float = 0.6,
    palette: PaletteName = "red_blue",
    score: float | None = None,
    unit: Unit = "pixel",
    origin: Provenance | None = None,
    legend: str | None = None,
    form: Format = "png",
) -> bytes:
    """Draws the first output over `picture` (H0, W0, 3), or over the model's input without one.

    `crop` is the part of the picture that the model saw (all of it by default); the rest is faded
    and hatched. `alpha` is the opacity of the strongest colours; `score` appears in the alternative
    text. The drawing has the picture's size, unless a `legend`, the caption of a colour bar, adds
    the output, the score and the scale. Raises InvalidOptionError.
    """
    if not 0 <= alpha <= 1:
        raise InvalidOptionError(f"alpha must be in 0..1; received {alpha}")
    ground = rgb_picture(attributions.data) if picture is None else _checked(picture)
    seen = _checked_crop(crop, ground.size)
    # Grey with lifted shadows, so that red and blue both stand out
    lifted = [round(LIGHTER + (255 - LIGHTER) * level / 255) for level in range(256)]
    muted = ground.convert("L").point(lifted).convert("RGB")
    page = muted if seen == (0, 0, *ground.size) else _unseen(muted)
    output = _Output.of(attributions, percentile, palette, score, unit, origin)
    layer = output.layer(seen)
    opacity = layer.getchannel("A").point([round(alpha * level) for level in range(256)])
    part = muted.crop(seen)
    part.paste(layer.convert("RGB"), mask=opacity)
    page.paste(part, seen[:2])
    notes = [] if page is muted else ["Hatched: not seen by the model."]
    drawing = output.drawing(page, legend, notes)
    return written(drawing, output.text("The picture in grey, and over it"), form)


def heat(
    attributions: Attributions,
    *,
    size: Size | None = None,
    crop: Box | None = None,
    percentile: float = 99.9,
    palette: PaletteName = "red_blue",
    score: float | None = None,
    unit: Unit = "pixel",
    origin: Provenance | None = None,
    legend: str | None = None,
    form: Format = "png",
) -> bytes:
    """Draws the first output on a transparent sheet of `size` (width, height), or the input's size.

    The output fills `crop` (all by default), its place on a picture of that size. With a `legend`,
    as in `overlay`, the sheet is white. Raises InvalidOptionError.
    """
    height, width = attributions.values.shape[:2]
    size = width, height = size or (width, height)
    if not (width >= 1 and height >= 1 and width * height <= MAX_LAYER_PIXELS):
        raise InvalidOptionError(
            f"width and height must be 1 or more and give at most {MAX_LAYER_PIXELS} pixels; "
            f"received {width} x {height}"
        )
    seen = _checked_crop(crop, size)
    output = _Output.of(attributions, percentile, palette, score, unit, origin)
    sheet = Image.new("RGBA", size)
    sheet.paste(output.layer(seen), seen[:2])
    if legend is not None:
        white = Image.new("RGB", size, "white")
        white.paste(sheet.convert("RGB"), mask=sheet.getchannel("A"))
        sheet = white
    drawing = output.drawing(sheet, legend, [])
    return written(drawing, output.text("On transparency,"), form)


@dataclass(frozen=True, eq=False)
class _Output:
    """The first output of an explanation, and a colour scale for it alone."""

    name: str
    score: float | None
    pixel_sums: Sums  # (H, W, 1)
    sums: Sums  # as drawn
    scale: Scale
    origin: Provenance | None

    @classmethod
    def of(
        cls,
        attributions: Attributions,
        percentile: float,
        palette: PaletteName,
        score: float | None,
        unit: Unit,
        origin: Provenance | None,
    ) -> "_Output":
        first = attributions.narrow([0])
        sums = first.sums(unit)
        scale = Scale(limit(sums, percentile=percentile), find_palette(palette))
        pixel_sums = sums if unit == "pixel" else first.sums("pixel")
        return cls(attributions.names[0], score, pixel_sums, sums, scale, origin)

    def layer(self, box: Box) -> Image.Image:
        left, top, right, bottom = box
        return self.scale.paint(resized(self.sums[..., 0], (right - left, bottom - top)))

    def text(self, what: str) -> AltText:
        described = alt_text.of_layer(what, self.name, self.score, self.pixel_sums, self.scale)
        return replace(described, metadata=metadata([self.origin] if self.origin else []))

    def drawing(self, image: Image.Image, caption: str | None, notes: list[str]) -> Drawing:
        """The image alone or, with the caption of a colour bar, between label and legend."""
        if caption is None:
            page = Drawing(image.size, transparent=image.mode == "RGBA")
            page.paste(image, (0, 0))
            return page
        if (factor := MIN_LEGEND_WIDTH // max(image.size)) > 1:
            image = image.resize(
                (factor * image.width, factor * image.height), Image.Resampling.NEAREST
            )
        enlarged = max(1.0, image.width / LEGEND_WIDTH)
        margin, width = round(16 * enlarged), max(image.width, MIN_LEGEND_WIDTH)
        title, small = Font(round(TITLE_SIZE * enlarged)), Font(round(SMALL_SIZE * enlarged))
        colours, line = self.scale.palette, small.line_height
        notes = [
            f"{colours.positive_name.capitalize()} raises the score, {colours.negative_name} "
            "lowers it.",
            *notes,
        ]
        if self.origin:
            notes.append(SEPARATOR.join([self.origin.id, common([self.origin])]))
        lines = [each for note in notes for each in wrap(note, small, width, MAX_NOTE_LINES)]
        names = wrap(self.name, title, width)
        top = margin + len(names) * title.line_height + (0 if self.score is None else line)
        top += margin // 4
        bar = ColourBar(
            self.scale,
            margin + (width - (bar_width := min(width, round(420 * enlarged)))) // 2,
            top + image.height + margin // 2,
            bar_width,
            round(10 * enlarged),
        )
        below = bar.top + bar.thickness + 3 * line
        page = Drawing((width + 2 * margin, below + len(lines) * line + margin))
        middle, y = page.size[0] / 2, margin
        for name in names:
            page.write(title, (middle, y), name, INK, "ma")
            y += title.line_height
        if self.score is not None:
            number = short_numbers([self.score])[0].replace("-", MINUS)
            page.write(small, (middle, y), f"score {number}", FAINT_INK, "ma")
        page.paste(image, ((page.size[0] - image.width) // 2, top))
        bar.draw(page, small, caption)
        for count, text in enumerate(lines):
            page.write(small, (middle, below + count * line), text, FAINT_INK, "ma")
        return page


def _checked(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InvalidOptionError(
            f"picture must be (H, W, 3) uint8; received {picture.shape} {picture.dtype}"
        )
    return Image.fromarray(picture)


def _checked_crop(crop: Box | None, size: Size) -> Box:
    width, height = size
    left, top, right, bottom = crop or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InvalidOptionError(
            f"crop must lie within the {width} x {height} picture; received {crop}"
        )
    return left, top, right, bottom


def _unseen(picture: Image.Image) -> Image.Image:
    """Fades and hatches the picture; line spacing and width scale with its size."""
    width, height = picture.size
    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.6)
    pen = ImageDraw.Draw(faded)
    period = max(6, max(width, height) // 48)
    for start in range(0, width + height, period):
        line = [(start, 0), (start - height, height)]
        pen.line(line, fill=HATCHING, width=max(1, period // 10))
    return faded
