"""Strict JSON (RFC 8259): no NaN, no duplicate names, no lone surrogates."""

import codecs
import json
import math
from typing import Any, NoReturn

from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

MAX_DEPTH = 32  # levels of nesting
MAX_VALUES = 100_000


def loads(content: bytes, *, what: str) -> Any:
    """Parses a document; what: its name in errors. Raises ApiError bad_request."""
    # Small values take 20 times their bytes in memory; base64 has no commas or brackets
    count = sum(map(content.count, (b",", b"[", b"{")))
    if count > MAX_VALUES:
        raise _refused(f"{what} has {count} values; at most {MAX_VALUES} are accepted", what)
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _refused(f"{what} is in UTF-16; JSON must be in UTF-8", what)
    try:
        text = content.decode()  # json.loads would also accept UTF-16 and UTF-32
        document = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates,
        )
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()  # lone surrogates cannot be encoded
    except UnicodeDecodeError as error:
        raise _refused(f"{what} is not UTF-8 at byte {error.start}", what) from error
    except UnicodeEncodeError as error:
        raise _refused(f"{what} is not valid JSON: it has a lone surrogate", what) from error
    except ValueError as error:
        raise _refused(f"{what} is not valid JSON: {error}", what) from error
    except RecursionError as error:
        raise _refused(f"{what} is not valid JSON: it is nested too deeply", what) from error
    if _is_deep(document):
        raise _refused(f"{what} is nested more than {MAX_DEPTH} levels deep", what)
    return document


def _refused(detail: str, what: str) -> ApiError:
    return ApiError(ErrorCode.BAD_REQUEST, detail, field=what)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is outside the range of a double")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object has duplicate field names")
    return document


def _is_deep(document: Any) -> bool:
    """Whether nesting exceeds MAX_DEPTH; level by level, as recursion might hit Python's limit."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)
