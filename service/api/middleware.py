"""Around every request: an id, a log line, safe headers, HEAD, and the last resort for errors."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import ApiError, problem_response
from service.contract.schema import ErrorCode

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}")
log = structlog.get_logger(__name__)


class Access:
    """Gives each request an id, logs how it went and turns what nobody expected into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = _request_id(scope), time.perf_counter(), 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_marked)
            except ClientDisconnect:
                log.info("the client left", path=scope["path"])
            except Exception:
                log.exception("unexpected error", path=scope["path"])
                if status:  # too late to say so: the connection breaks off
                    raise
                await problem_response(_unexpected(request_id))(scope, receive, send_marked)
            _log_request(scope, status, time.perf_counter() - began)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _unexpected(request_id: str) -> ApiError:
    detail = f"an unexpected error; the service's log has it under request id {request_id}"
    return ApiError(ErrorCode.INTERNAL, detail)


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    level = log.debug if scope["path"].startswith("/healthz/") else log.info
    level(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(1000 * seconds, 1),
    )


class HeadAsGet:
    """Answers HEAD with the headers of GET and no body; a stream then sees its client gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, send_headers)
        else:
            await self._app(scope, receive, send)
