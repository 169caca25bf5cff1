"""Reads text files in UTF-8, with or without a byte order mark."""

from pathlib import Path

BOM = b"\xef\xbb\xbf"
FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class TextEncodingError(ValueError):
    """A text file has another encoding; the message names the file and the position."""


def read_text(path: Path) -> str:
    """Return the text without its byte order mark. Raises TextEncodingError, OSError."""
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
