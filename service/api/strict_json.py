"""JSON as RFC 8259 has it and nothing beyond: no NaN, no duplicate names, no lone surrogates."""

import json
import math
from typing import Any, NoReturn

from service.api.errors import ApiError
from service.contract.schema import ErrorCode

DEEPEST = 32  # levels of nesting


def loads(text: bytes | str, *, what: str) -> Any:
    """Parse a document that came in as `what`. Raises ApiError bad_request."""
    try:
        document = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates,
        )
        json.dumps(document, ensure_ascii=False).encode()  # lone surrogates cannot be encoded
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(
            ErrorCode.BAD_REQUEST, f"{what} is not JSON: {reason}", field=what
        ) from error
    if _depth(document) > DEEPEST:
        detail = f"{what} may nest {DEEPEST} levels deep"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, field=what)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is larger than a double")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object names a field twice")
    return document


def _depth(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + max(map(_depth, document.values()), default=0)
    if isinstance(document, list):
        return 1 + max(map(_depth, document), default=0)
    return 0
