"""Problems in the form of another protocol's errors, on the paths of that protocol.

It is the outermost middleware, so that also errors found before the routes, such as an unknown host
name, have the form that the client reads.
"""

import json
import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.problems import PROBLEM

KSERVE_PATH = re.compile(r".*/v1/models/[^/]+:explain")
VERTEX_PATH = re.compile(r".*/v1(beta1)?/projects/[^/]+/locations/[^/]+/endpoints/[^/]+:explain")

# google.rpc.Code and the HTTP status that its clients know, by our status. Others of 4xx are
# INVALID_ARGUMENT, https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
RPC_CODES = {
    401: ("UNAUTHENTICATED", 401),
    403: ("PERMISSION_DENIED", 403),
    404: ("NOT_FOUND", 404),
    408: ("DEADLINE_EXCEEDED", 504),
    409: ("ABORTED", 409),
    410: ("NOT_FOUND", 404),
    429: ("RESOURCE_EXHAUSTED", 429),
    500: ("INTERNAL", 500),
    503: ("UNAVAILABLE", 503),
    504: ("DEADLINE_EXCEEDED", 504),
}
_FORM = "shapshot.error_form"


def answer_as_vertex(scope: Scope) -> None:
    """Gives the errors of this request the form of Vertex, whatever its path."""
    scope[_FORM].append("vertex")


class ErrorForms:
    """Rewrites the problems of explain calls."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_vertex = VERTEX_PATH.fullmatch(path) is not None
        if scope["type"] != "http" or not (is_vertex or KSERVE_PATH.fullmatch(path)):
            await self._app(scope, receive, send)
            return
        scope[_FORM] = ["vertex"] if is_vertex else []
        start: Message | None = None  # of a problem, until its body is known
        body = b""

        async def rewrite(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type") == PROBLEM:
                    start = message
                    return
            elif start is not None and message["type"] == "http.response.body":
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                form = as_vertex if scope[_FORM] else as_kserve
                start["status"], document = form(json.loads(body))
                content = json.dumps(document).encode()
                headers = MutableHeaders(scope=start)
                headers["content-type"] = "application/json"
                headers["content-length"] = str(len(content))
                await send(start)
                message = {"type": "http.response.body", "body": content}
            await send(message)

        await self._app(scope, receive, rewrite)


def as_kserve(problem: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Returns status and document of an error of KServe."""
    return problem["status"], {"error": problem["detail"], "problem": problem}


def as_vertex(problem: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Returns status and document of an error of Vertex, a google.rpc.Status."""
    code, status = RPC_CODES.get(problem["status"], ("INVALID_ARGUMENT", 400))
    named = {name: problem[name] for name in ("field", "received", "accepted")}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in named.items()
        if value is not None
    }
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": problem["code"].upper(),
        "domain": "shapshot",
        "metadata": texts,
    }
    error = {"code": status, "message": problem["detail"], "status": code, "details": [info]}
    return status, {"error": error}
