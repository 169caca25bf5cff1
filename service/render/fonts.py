"""Finds fonts with glyphs for a text: the bundled font, else fonts of the system.

Matplotlib bundles DejaVu Sans, with the alphabets of Europe and the Near East. Chinese,
Devanagari, emoji and others need a font of the system. What is written from right to left needs
FriBiDi, a library of the system: without it, no font counts as having the characters.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray
from PIL import features

BUNDLED = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
)
SUFFIXES = (".ttf", ".ttc", ".otf", ".otc")
LAST_CHOICE = ("serif", "mono", "light", "thin", "black", "condensed")
NEVER = ("bold", "italic", "oblique", "lastresort", "blank")
OUTLINES = ("glyf", "CFF ", "CFF2")  # outlines, which Pillow draws at any size, unlike bitmap emoji
RIGHT_TO_LEFT = ("R", "AL")  # Unicode bidirectional classes
BIDIRECTIONAL = features.check("raqm")
UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode categories without a visible glyph
JOINED = ("Mn", "Mc", "Me", "Cf")  # drawn together with the character before


@dataclass(frozen=True, eq=False)
class FontFile:
    """A font file and the characters (N,) it has glyphs for, ascending."""

    path: Path
    characters: NDArray[np.uint32]

    def has(self, text: str) -> bool:
        if not BIDIRECTIONAL and any(unicodedata.bidirectional(c) in RIGHT_TO_LEFT for c in text):
            return False
        seen = (ord(each) for each in text if unicodedata.category(each) not in UNSEEN)
        codes = np.fromiter(seen, np.uint32)
        places = np.searchsorted(self.characters, codes).clip(max=len(self.characters) - 1)
        return bool((self.characters[places] == codes).all())


def can_write(text: str) -> bool:
    """Whether every character of the text has a glyph in some font."""
    return all(font is not None for font, _ in runs(text))


def runs(text: str) -> Sequence[tuple[FontFile | None, str]]:
    """Splits the text into runs, each with its font; None: no font has the characters.

    Prefers one font for the whole text, since letters of one script are shaped together.
    """
    bundled = _read(BUNDLED)
    if bundled is not None and bundled.has(text):
        return [(bundled, text)]
    fonts = [font for font in (bundled, *map(_read, _system_paths())) if font is not None]
    whole = next((font for font in fonts if font.has(text)), None)
    if whole is not None:
        return [(whole, text)]
    pieces: list[tuple[FontFile | None, str]] = []
    for character in text:
        last = pieces[-1] if pieces else (None, "")
        follows = unicodedata.category(character) in JOINED or character.isspace()
        if pieces and (follows or (last[0] is not None and last[0].has(character))):
            pieces[-1] = last[0], last[1] + character
            continue
        font = next((font for font in fonts if font.has(character)), None)
        if pieces and font is None is last[0]:
            pieces[-1] = None, last[1] + character
        else:
            pieces.append((font, character))
    return pieces


@lru_cache(1)
def _system_paths() -> list[Path]:
    """Upright fonts of normal weight, sans serif first, in a fixed order."""
    found = {
        path
        for folder in FOLDERS
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not _is_named(path, NEVER)
    }
    return sorted(found, key=lambda path: (_is_named(path, LAST_CHOICE), path.name, str(path)))


def _is_named(path: Path, words: Sequence[str]) -> bool:
    return any(word in path.stem.lower() for word in words)


@lru_cache(1024)
def _read(path: Path) -> FontFile | None:
    """Reads a font; None if the file is not a font, or has no outlines or characters."""
    try:
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            if not any(table in font for table in OUTLINES):
                return None
            codes = sorted(font.getBestCmap() or ())
            return FontFile(path, np.array(codes, np.uint32)) if codes else None
    except (TTLibError, OSError, ValueError, KeyError, AttributeError, AssertionError):
        return None
