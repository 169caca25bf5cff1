"""The names that clients give to pictures, made safe to show and to save under."""

import re
import unicodedata

MAX_NAME = 200  # characters

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, direction marks, unassigned …


def clean_name(received: str | None) -> str | None:
    """Returns the base name without control characters, at most MAX_NAME long; None if it is empty.

    Drops directories, with either separator; of a long name, the end of the stem.
    """
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", received or "")[-1])
    spaced = " ".join(base.split())
    name = "".join(each for each in spaced if unicodedata.category(each) not in _HIDDEN)
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        kept = dot + extension if stem and len(extension) <= 10 else ""
        name = name[: MAX_NAME - len(kept)] + kept
    return name if name.strip(". ") else None
