"""Text: fonts, inks, wrapping, number formats."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import ImageDraw, ImageFont

from service.render.fonts import BIDIRECTIONAL, BUNDLED, runs

MAX_LINES, MAX_NOTE_LINES = 3, 10
MAX_DIGITS = 12  # significant, of a number
ELLIPSIS = "…"
DIRECTION = "ltr" if BIDIRECTIONAL else None  # of a line; words within it may run the other way
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
        return sum(face.getlength(piece) for face, piece in self.pieces(text))

    def write(
        self,
        pen: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        ink: Ink,
        anchor: Anchor = "la",
    ) -> None:
        """Draws a line, all fonts on one base line. anchor: in Pillow's notation."""
        pieces = self.pieces(text)
        if [face for face, _ in pieces] in ([], [self._face(BUNDLED)]):
            line = "".join(piece for _, piece in pieces)
            pen.text(at, line, ink, self._face(BUNDLED), anchor=anchor, direction=DIRECTION)
            return
        left, base = at[0] - self.shift(text, anchor), self.base_line(at, anchor)
        for face, piece in pieces:
            pen.text((left, base), piece, ink, face, anchor="ls", direction=DIRECTION)
            left += face.getlength(piece)

    def shift(self, text: str, anchor: Anchor) -> float:
        """Returns how far left of the anchor the line begins, in pixels."""
        return {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * self.width(text)

    def base_line(self, at: tuple[float, float], anchor: Anchor) -> float:
        """Returns the y of the base line of a text anchored at this point."""
        ascent, descent = self._face(BUNDLED).getmetrics()
        return at[1] + {"a": ascent, "m": (ascent - descent) / 2, "d": -descent}[anchor[1]]

    def pieces(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Splits the text by font; writes characters that no font has as code points, [U+732B]."""
        return [
            (self._face(font.path if font else BUNDLED), piece if font else code_points(piece))
            for font, piece in runs(text)
        ]

    def _face(self, path: Path) -> ImageFont.FreeTypeFont:
        if path not in self._faces:
            self._faces[path] = ImageFont.truetype(path, self.size)
        return self._faces[path]


def wrap(text: str, font: Font, width: int, max_lines: int = MAX_LINES) -> list[str]:
    """Breaks after spaces and _ - / , into a few lines; cuts the last with … if needed."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < max_lines:
        line = _fill(rest, font, width)
        rest = rest[len(line) :]
        last = rest and len(lines) == max_lines - 1
        lines.append(truncate(line + rest, font, width) if last else line.strip())
    return lines


def truncate(text: str, font: Font, width: float) -> str:
    """Cuts the text to one line of this width, ending in …, if it is longer."""
    if font.width(text) <= width:
        return text
    return _cut_characters(text, font, width - font.width(ELLIPSIS)).rstrip() + ELLIPSIS


def code_points(text: str) -> str:
    """Writes characters as their code points, and the space after them: [U+732B U+1F98A]."""
    points = " ".join(f"U+{ord(each):04X}" for each in text if not each.isspace())
    return f"[{points}]{' ' * text[-1].isspace()}"


def format_numbers(numbers: Sequence[float]) -> list[str]:
    """Formats all with the same number of decimals, unless their exponents are extreme."""
    labels = [f"{number:g}" for number in numbers]
    if not any("e" in label for label in labels):
        decimals = max(len(label.partition(".")[2]) for label in labels)
        labels = [f"{number:.{decimals}f}" if number else "0" for number in numbers]
    return [label.replace("-", MINUS) for label in labels]


def short_numbers(numbers: Sequence[float]) -> list[str]:
    """Formats each to three significant digits, or to as many more as distinguish it.

    A label differs from those of other numbers, and is a whole number only if the number is one.
    """

    def told_apart(number: float, digits: int) -> bool:
        label = f"{number:.{digits}g}"
        exact = number == int(number) or abs(number) >= 100 or float(label) != int(float(label))
        return exact and all(label != f"{other:.{digits}g}" for other in different - {number})

    different = set(numbers)
    return [
        f"{number:.{next((n for n in range(3, MAX_DIGITS) if told_apart(number, n)), MAX_DIGITS)}g}"
        for number in numbers
    ]


def _fill(text: str, font: Font, width: float) -> str:
    """The longest prefix that fits: whole words, else characters, at least one."""
    ends = [match.end() for match in re.finditer(r"[ _\-/,]+|$", text)]
    words = bisect_right(ends, width, key=lambda end: font.width(text[:end].rstrip()))
    return text[: ends[words - 1]] if words else _cut_characters(text, font, width)


def _cut_characters(text: str, font: Font, width: float) -> str:
    ends = range(1, len(text) + 1)
    return text[: max(1, bisect_right(ends, width, key=lambda end: font.width(text[:end])))]
