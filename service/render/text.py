"""Text: fonts, inks, wrapping, number formats."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import ImageDraw, ImageFont

from service.render.fonts import BUNDLED, runs

MAX_LINES = 3
ELLIPSIS = "…"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
MINUS = "\N{MINUS SIGN}"
INK, FAINT_INK = (25, 25, 25), (105, 105, 105)


Ink = tuple[int, int, int]
Anchor = Literal["la", "ma", "ra", "lm", "mm", "rm", "ld", "md", "rd"]


@dataclass(frozen=True)
class Font:
    """DejaVu Sans in one size, in pixels, and other fonts for characters it lacks.

    Not shared between drawings: a FreeType face serves one at a time.
    """

    size: int
    _faces: dict[Path, ImageFont.FreeTypeFont] = field(default_factory=dict)

    @property
    def line_height(self) -> int:
        return round(self.size * 1.3)

    def width(self, text: str) -> float:
        return sum(face.getlength(piece) for face, piece in self._pieces(text))

    def write(
        self,
        pen: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        ink: Ink,
        anchor: Anchor = "la",
    ) -> None:
        """Draws a line, all fonts on one base line. anchor: in Pillow's notation."""
        pieces = self._pieces(text)
        if [face for face, _ in pieces] in ([], [self._face(BUNDLED)]):
            pen.text(at, text, ink, self._face(BUNDLED), anchor=anchor)
            return
        ascent, descent = self._face(BUNDLED).getmetrics()
        left = at[0] - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * self.width(text)
        base = at[1] + {"a": ascent, "m": (ascent - descent) / 2, "d": -descent}[anchor[1]]
        for face, piece in pieces:
            pen.text((left, base), piece, ink, face, anchor="ls")
            left += face.getlength(piece)

    def _pieces(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Splits the text by font; replaces characters that no font has by UNKNOWN."""
        return [
            (self._face(font.path), piece)
            if font
            else (self._face(BUNDLED), UNKNOWN * len(piece.strip()))
            for font, piece in runs(text)
        ]

    def _face(self, path: Path) -> ImageFont.FreeTypeFont:
        if path not in self._faces:
            self._faces[path] = ImageFont.truetype(path, self.size)
        return self._faces[path]


def wrap(text: str, font: Font, width: int) -> list[str]:
    """Breaks after spaces and _ - / , into at most three lines; cuts the last with … if needed."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < MAX_LINES:
        line = _fill(rest, font, width)
        lines.append(line.strip())
        rest = rest[len(line) :]
    if rest:
        lines[-1] = truncate(lines[-1] + rest, font, width)
    return lines


def truncate(text: str, font: Font, width: float) -> str:
    """Cuts the text to one line of this width, ending in …, if it is longer."""
    if font.width(text) <= width:
        return text
    return _cut_characters(text, font, width - font.width(ELLIPSIS)).rstrip() + ELLIPSIS


def format_numbers(numbers: Sequence[float]) -> list[str]:
    """Formats all with the same number of decimals, unless their exponents are extreme."""
    labels = [f"{number:g}" for number in numbers]
    if not any("e" in label for label in labels):
        decimals = max(len(label.partition(".")[2]) for label in labels)
        labels = [f"{number:.{decimals}f}" if number else "0" for number in numbers]
    return [label.replace("-", MINUS) for label in labels]


def _fill(text: str, font: Font, width: float) -> str:
    """The longest prefix that fits: whole words, else characters, at least one."""
    ends = [match.end() for match in re.finditer(r"[ _\-/,]+|$", text)]
    words = bisect_right(ends, width, key=lambda end: font.width(text[:end].rstrip()))
    return text[: ends[words - 1]] if words else _cut_characters(text, font, width)


def _cut_characters(text: str, font: Font, width: float) -> str:
    ends = range(1, len(text) + 1)
    return text[: max(1, bisect_right(ends, width, key=lambda end: font.width(text[:end])))]
