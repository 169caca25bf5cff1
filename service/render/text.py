"""Lines of text: one bundled font, its inks, words broken to a width, numbers."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import ImageFont

MAX_LINES = 3
ELLIPSIS = "…"
MINUS = "\N{MINUS SIGN}"
INK, FAINT_INK = (25, 25, 25), (105, 105, 105)


@dataclass(frozen=True)
class Font:
    """DejaVu Sans of one size, in pixels."""

    face: ImageFont.FreeTypeFont
    line_height: int

    def width(self, text: str) -> float:
        return self.face.getlength(text)


def load_font(size: int) -> Font:
    """Not shared: a FreeType face serves one drawing."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return Font(ImageFont.truetype(path, size), round(size * 1.3))


def wrap(text: str, font: Font, width: int) -> list[str]:
    """Break after spaces and _ - / , where needed; at most three lines, the last cut with …"""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < MAX_LINES:
        line = _fill(rest, font, width)
        lines.append(line.strip())
        rest = rest[len(line) :]
    if rest:
        lines[-1] = cut(lines[-1] + rest, font, width)
    return lines


def cut(text: str, font: Font, width: float) -> str:
    """One line, its end replaced by … where it is too long."""
    if font.width(text) <= width:
        return text
    return _cut_characters(text, font, width - font.width(ELLIPSIS)).rstrip() + ELLIPSIS


def written(numbers: Sequence[float]) -> list[str]:
    """All with the same number of decimals, unless the exponents are extreme."""
    labels = [f"{number:g}" for number in numbers]
    if not any("e" in label for label in labels):
        decimals = max(len(label.partition(".")[2]) for label in labels)
        labels = [f"{number:.{decimals}f}" if number else "0" for number in numbers]
    return [label.replace("-", MINUS) for label in labels]


def _fill(text: str, font: Font, width: float) -> str:
    """The longest beginning that fits: whole words, else characters, at least one."""
    ends = [match.end() for match in re.finditer(r"[ _\-/,]+|$", text)]
    words = bisect_right(ends, width, key=lambda end: font.width(text[:end].rstrip()))
    return text[: ends[words - 1]] if words else _cut_characters(text, font, width)


def _cut_characters(text: str, font: Font, width: float) -> str:
    ends = range(1, len(text) + 1)
    return text[: max(1, bisect_right(ends, width, key=lambda end: font.width(text[:end])))]
