"""Lines of text: one bundled font, words broken to a width."""

import re
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


def _fill(text: str, font: Font, width: int) -> str:
    """The longest beginning that fits: whole words, else characters, at least one."""
    ends = [match.end() for match in re.finditer(r"[ _\-/,]+|$", text)]
    fitting = [end for end in ends if font.width(text[:end].rstrip()) <= width]
    return text[: max(fitting)] if fitting else _cut_characters(text, font, width)


def _cut(text: str, font: Font, width: int) -> str:
    room = width - font.width(ELLIPSIS)
    return _cut_characters(text, font, room).rstrip() + ELLIPSIS


def _cut_characters(text: str, font: Font, width: float) -> str:
    end = len(text)
    while end > 1 and font.width(text[:end]) > width:
        end -= 1
    return text[:end]
