"""Request ids, the access log, request counts, HEAD, and the problem for unexpected errors."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.metrics import Metrics, route_of
from service.api.http.problems import ApiError, problem_response
from service.schemas.documents import ErrorCode

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
QUIET_PATHS = ("/healthz/", "/metrics")  # polled every few seconds by probes and scrapers
log = structlog.get_logger(__name__)


class AccessLog:
    """Adds request ids, logs and counts requests, answers unexpected errors with a problem."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        structlog.contextvars.clear_contextvars()
        with (
            structlog.contextvars.bound_contextvars(request_id=exchange.request_id),
            self._metrics.in_progress.track_inprogress(),
        ):
            try:
                await self._app(scope, receive, exchange.send)
            except ClientDisconnect:
                log.info("client disconnected")
            except Exception:
                log.exception("unexpected error")
                if exchange.status:  # headers are sent: uvicorn closes the connection
                    raise
                detail = (
                    "unexpected error; the server's log describes it under request id "
                    f"{exchange.request_id}"
                )
                problem = problem_response(ApiError(ErrorCode.INTERNAL, detail))
                await problem(scope, receive, exchange.send)
            finally:
                exchange.record(self._metrics)


class Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        self.status = 0  # until the response starts
        self._send = send
        self._began = time.perf_counter()
        self._answered_s = 0.0

    async def send(self, message: Message) -> None:
        """Forwards a message; adds X-Request-ID to the response headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered_s = time.perf_counter() - self._began
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
        await self._send(message)

    def record(self, metrics: Metrics) -> None:
        """Counts and logs the request without its query, which may hold private data."""
        if self.status:
            metrics.answered(self.scope, self.status, self._answered_s)
        seconds = time.perf_counter() - self._began
        problem, params = self.scope.get("problem"), self.scope.get("path_params", {})
        id_ = params.get("explanation_id") or params.get("batch_id")
        level = log.debug if is_quiet(self.scope) else log.info
        level(
            "request",
            method=self.scope["method"],
            path=self.scope["path"],
            route=route_of(self.scope),
            status=self.status,
            ms=round(1000 * seconds, 1),
            **({"id": id_} if id_ else {}),
            **({"problem": problem} if problem else {}),
        )


def is_quiet(scope: Scope) -> bool:
    """Whether the path, below root_path, is a probe or a scrape."""
    path: str = scope["path"].removeprefix(scope["root_path"])
    return path.startswith(QUIET_PATHS)


class HeadAsGet:
    """Answers HEAD with the headers of GET and no body; a stream then sees a disconnect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        if scope["type"] == "http" and scope["method"] == "HEAD":
            as_get = {**scope, "method": "GET"}
            await self._app(as_get, receive, send_headers)
            added = {"route", "path_params", "problem"} & as_get.keys()
            scope.update({name: as_get[name] for name in added})  # for log and metrics
        else:
            await self._app(scope, receive, send)
