"""Lines of text: one bundled font, words broken to a width."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import ImageFont

MAX_LINES = 3
ELLIPSIS = "…"


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
        lines[-1] = _cut(lines[-1] + rest, font, width)
    return lines


def _fill(text: str, font: Font, width: float) -> str:
    """The longest beginning that fits: whole words, else characters, at least one."""
    ends = [match.end() for match in re.finditer(r"[ _\-/,]+|$", text)]
    words = bisect_right(ends, width, key=lambda end: font.width(text[:end].rstrip()))
    return text[: ends[words - 1]] if words else _cut_characters(text, font, width)


def _cut(text: str, font: Font, width: float) -> str:
    room = width - font.width(ELLIPSIS)
    return _cut_characters(text, font, room).rstrip() + ELLIPSIS


def _cut_characters(text: str, font: Font, width: float) -> str:
    ends = range(1, len(text) + 1)
    return text[: max(1, bisect_right(ends, width, key=lambda end: font.width(text[:end])))]
