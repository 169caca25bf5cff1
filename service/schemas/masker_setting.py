"""Syntax and parsing of the masker in a request."""

import re
from dataclasses import dataclass

MAX_KERNEL = 4096  # of blur, in pixels
MAX_LEVEL = 255  # of constant

_WHOLE = r"\s*[1-9]\d{0,3}\s*"
_LEVEL = r"\s*\d{1,3}(\.\d+)?\s*"
_FILL = rf"blur\({_WHOLE},{_WHOLE}\)|constant\({_LEVEL}(,{_LEVEL}){{0,3}}\)"
MASKER_PATTERN = rf"^(inpaint_telea|inpaint_ns|mean|{_FILL})$"


@dataclass(frozen=True)
class MaskerSetting:
    """The kind of a masker, and the numbers in its brackets."""

    kind: str
    numbers: tuple[float, ...] = ()


def parse_masker(text: str) -> MaskerSetting:
    """Parse a text that matches MASKER_PATTERN. Raises ValueError for any other."""
    if not re.fullmatch(MASKER_PATTERN, text):
        raise ValueError(f"the masker is {text!r}; accepted is what matches {MASKER_PATTERN}")
    kind, _, numbers = text.rstrip(")").partition("(")
    return MaskerSetting(kind, tuple(map(float, numbers.split(","))) if numbers else ())
