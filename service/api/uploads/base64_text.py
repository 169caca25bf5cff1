"""Base64 in its common variants: with line breaks, either alphabet, any padding, or a data: URL.

RFC 4648, https://www.rfc-editor.org/rfc/rfc4648; RFC 2397 for the URLs.
"""

import base64
import re

from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

HEAD = 200  # most characters of a data: URL before its data
ACCEPTED = "letters, digits, + and / (or - and _), white space, and = at the end"

_URL = re.compile(r"\s*data:", re.IGNORECASE)
_FOREIGN = re.compile(r"[^A-Za-z0-9+/\-_= \t\r\n\f\v]")
_PADDING = re.compile(r"=(?=[\s=]*[^\s=])")  # followed by more data
_STANDARD = str.maketrans("-_", "+/", "= \t\r\n\f\v")


def decode_base64(name: str, text: str) -> bytes:
    """Decodes the field `name`. Raises ApiError at the first invalid character.

    Positions count characters of the text as received, from 0.
    """
    start = 0
    if url := _URL.match(text):
        start = text.find(",", url.end(), url.end() + HEAD) + 1
        if not start or not text[:start].rstrip(" ,").lower().endswith(";base64"):
            detail = f"{name} is a data: URL without ;base64, before its data"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name, text[:80])
    for wrong, why in (
        (_FOREIGN, "is not a base64 character"),
        (_PADDING, "is padding before the end"),
    ):
        if found := wrong.search(text, start):
            place = f"{name}: character {found.start()}, {found[0]!r}, {why}"
            detail = f"{place}; accepted: {ACCEPTED}"
            around = text[max(0, found.start() - 20) : found.start() + 20]
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name, around)
    encoded = text[start:].translate(_STANDARD)
    if len(encoded) % 4 == 1:
        detail = (
            f"{name} is truncated: {len(encoded)} characters of base64 do not encode a whole "
            "number of bytes"
        )
        raise ApiError(ErrorCode.BAD_REQUEST, detail, name, text[-80:])
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4))
