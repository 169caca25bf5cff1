"""Limits on the head of a request: URI length, header size, one framing of the body."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.problems import ApiError, problem_response
from service.schemas.documents import ErrorCode

MAX_URI_BYTES = 8192  # bytes of path and query
MAX_HEADER_BYTES = 16_384  # bytes, names and values


class HeaderLimits:
    """Refuses oversized heads, and heads with both Content-Length and Transfer-Encoding."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refusal(scope) if scope["type"] == "http" else None
        await (problem_response(refused) if refused else self._app)(scope, receive, send)


def _refusal(scope: Scope) -> ApiError | None:
    address = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if address > MAX_URI_BYTES:
        return uri_too_long(address)
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    if headers > MAX_HEADER_BYTES:
        return headers_too_large(headers)
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
        # Prevents request smuggling: a proxy may use the other header to find the body's end
        detail = "a request cannot have both Content-Length and Transfer-Encoding; send one of them"
        close = {"Connection": "close"}
        return ApiError(ErrorCode.BAD_REQUEST, detail, "Transfer-Encoding", headers=close)
    return None


def uri_too_long(received: int) -> ApiError:
    detail = f"path and query are longer than {MAX_URI_BYTES} bytes"
    accepted = {"maximum": MAX_URI_BYTES}
    return ApiError(ErrorCode.URI_TOO_LONG, detail, "path", received, accepted)


def headers_too_large(received: int) -> ApiError:
    detail = f"the headers are larger than {MAX_HEADER_BYTES} bytes in total"
    accepted = {"maximum": MAX_HEADER_BYTES}
    return ApiError(ErrorCode.HEADERS_TOO_LARGE, detail, "headers", received, accepted)
