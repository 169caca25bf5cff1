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
                await self._guarded(exchange, receive)
            finally:
                exchange.tell(self._metrics)

    async def _guarded(self, exchange: "Exchange", receive: Receive) -> None:
        try:
            await self._app(exchange.scope, receive, exchange.send)
        except ClientDisconnect:
            log.info("the client left")
        except Exception:
            log.exception("unexpected error")
            if exchange.status:  # headers are sent; the connection breaks off
                raise
            problem = problem_response(_unexpected(exchange.request_id))
            await problem(exchange.scope, receive, exchange.send)


class Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.request_id = _request_id(scope)
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

    def tell(self, metrics: Metrics) -> None:
        """Counts and logs the request without its query, which may hold private data."""
        if self.status:
            metrics.answered(self.scope, self.status, self._answered_s)
        level = log.debug if is_quiet(self.scope) else log.info
        level("request", **self._facts())

    def _facts(self) -> dict[str, object]:
        seconds = time.perf_counter() - self._began
        problem, params = self.scope.get("problem"), self.scope.get("path_params", {})
        id_ = params.get("explanation_id") or params.get("batch_id")
        return {
            "method": self.scope["method"],
            "path": self.scope["path"],
            "route": route_of(self.scope),
            "status": self.status,
            "ms": round(1000 * seconds, 1),
            **({"id": id_} if id_ else {}),
            **({"problem": problem} if problem else {}),
        }


def is_quiet(scope: Scope) -> bool:
    """Whether the path, below root_path, is a probe or a scrape."""
    path: str = scope["path"].removeprefix(scope["root_path"])
    return path.startswith(QUIET_PATHS)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _unexpected(request_id: str) -> ApiError:
    detail = f"an unexpected error; the service's log has it under request id {request_id}"
    return ApiError(ErrorCode.INTERNAL, detail)


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
            noted = {"route", "path_params", "problem"} & as_get.keys()
            scope.update({name: as_get[name] for name in noted})  # for log and metrics
        else:
            await self._app(scope, receive, send)
