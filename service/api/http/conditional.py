"""Request headers that select a response (Prefer, If-None-Match, Accept); headers of documents."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from fastapi import Request
from starlette.responses import Response

from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

MAX_WAIT_S = 60

_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.IGNORECASE)


class CachePolicy(StrEnum):
    """The caching requested by `Cache-Control`."""

    USE = ""
    RENEW = "no-cache"  # compute again
    AVOID = "no-store"  # compute again, and do not reuse the result for other requests

    @classmethod
    def of(cls, request: Request) -> "CachePolicy":
        values = ",".join(request.headers.getlist("cache-control")).lower().split(",")
        directives = {directive.strip() for directive in values}
        return next((each for each in (cls.AVOID, cls.RENEW) if each in directives), cls.USE)


def preferred_wait(request: Request) -> int | None:
    """Returns N of `Prefer: wait=N` in seconds, at most MAX_WAIT_S; None if absent or malformed."""
    for preferences in request.headers.getlist("prefer"):
        for match in filter(None, map(_WAIT.fullmatch, preferences.split(","))):
            return min(int(match[1]), MAX_WAIT_S)
    return None


def document_response(
    content: str, etag: str, again_s: int | None, status_code: int = 200
) -> Response:
    """A JSON document with its ETag; again_s: seconds for Retry-After, or None."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if again_s is not None:
        headers |= retry_after(again_s)
    return Response(content, status_code, headers, "application/json")


def not_modified(request: Request, etag: str) -> Response | None:
    """Returns a 304 response if If-None-Match has this ETag, else None."""
    known = request.headers.get("if-none-match", "")
    opaque = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    if opaque & {etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers={"ETag": etag})
    return None


def negotiate(accept: str, offered: Sequence[str]) -> str | None:
    """Returns the offered media type of highest quality, the first of equals; None if all are 0."""
    ranges = list[tuple[str, float]]()
    for text in (accept or "*/*").split(","):
        media_range, *parameters = (part.strip().lower() for part in text.split(";"))
        q = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        ranges.append((media_range, float(q) if re.fullmatch(r"[01](\.\d*)?", q) else 0.0))
    rated = [(_quality(media_type, ranges), media_type) for media_type in offered]
    quality, best = max(rated, key=lambda pair: pair[0])
    return best if quality > 0 else None


def negotiate_form(request: Request, media_types: Mapping[str, str], refusal: str) -> str:
    """Returns the form whose media type is preferred. Raises ApiError not_acceptable."""
    accept, offered = request.headers.get("accept", ""), list(media_types.values())
    chosen = negotiate(accept, offered)
    if chosen is None:
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, refusal, "Accept", accept, offered)
    return next(form for form, media_type in media_types.items() if media_type == chosen)


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Returns the quality of the most specific range that matches the type; 0 if none matches."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        for media_range, quality in ranges:
            if media_range == pattern:
                return quality
    return 0.0
