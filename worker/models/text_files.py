"""Text files as editors write them: UTF-8, with a byte order mark or without."""

from pathlib import Path

BOM = b"\xef\xbb\xbf"
FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class TextEncodingError(ValueError):
    """A text file in another encoding; the message names it and the place."""


def read_text(path: Path) -> str:
    """The text without its mark. Raises TextEncodingError, OSError."""
    content = path.read_bytes().removeprefix(BOM)
    if encoding := FOREIGN_MARKS.get(content[:2]):
        raise TextEncodingError(f"{path} is in {encoding}; save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TextEncodingError(
            f"{path} is not UTF-8 at byte {error.start} (0x{content[error.start]:02x}, in line "
            f"{line}); save it as UTF-8"
        ) from error
