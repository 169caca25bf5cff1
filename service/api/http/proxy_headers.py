"""The client address, scheme and path prefix that a reverse proxy forwards.

X-Forwarded-For, -Proto and -Prefix are read only where the connection comes from a trusted
address.
"""

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.api.http.problems import ApiError, problem_response
from service.infra.root_path import checked_root_path
from service.infra.settings.api import Network
from service.schemas.documents import ErrorCode

FORWARDED_PREFIX = "X-Forwarded-Prefix"


class ProxyHeaders(ProxyHeadersMiddleware):
    """Sets client and scheme (as uvicorn does) and root_path in the scope of a request.

    ASGI requires that `path` begins with `root_path`; a proxy may strip that prefix or keep it.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], root_path: str) -> None:
        """root_path: fixed for every request; empty: taken from a trusted proxy."""
        uvicorn_app: Any = app  # uvicorn has ASGI types of its own
        super().__init__(uvicorn_app, [str(network) for network in trusted])
        self._root_path = root_path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            try:
                root_path = self._root_path or self._forwarded_prefix(scope)
            except ApiError as error:
                await problem_response(error)(scope, receive, send)
                return
            scope["root_path"] = root_path
            path, raw_path = scope["path"], scope.get("raw_path") or b""
            if root_path and path == root_path:
                scope["path"], scope["raw_path"] = f"{path}/", raw_path + b"/"
            elif not path.startswith(f"{root_path}/"):
                scope["path"], scope["raw_path"] = root_path + path, root_path.encode() + raw_path
        await super().__call__(scope, receive, send)

    def _forwarded_prefix(self, scope: Scope) -> str:
        """Returns X-Forwarded-Prefix of a trusted proxy, else "". Raises ApiError bad_request."""
        received = ", ".join(Headers(scope=scope).getlist(FORWARDED_PREFIX))
        client = scope.get("client")
        if not received or client is None or client[0] not in self.trusted_hosts:
            return ""
        try:
            return checked_root_path(received.removesuffix("/"))
        except ValueError as error:
            raise ApiError(ErrorCode.BAD_REQUEST, str(error), FORWARDED_PREFIX, received) from None
