"""Host names that this server answers to.

A web page can rebind its own host name to 127.0.0.1 after it is loaded (DNS rebinding). The
browser then treats our responses as same-origin, and only the Host header shows the difference.
"""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.access_log import is_quiet
from service.api.http.problems import ApiError, problem_response
from service.infra.listen_address import is_loopback
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode

LOOPBACK = ("localhost", "*.localhost", "127.0.0.0/8", "[::1]")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{0,5})?")


class AllowedHosts:
    """Refuses other hosts; without keys, accepts only this machine's names and `allowed_hosts`.

    With keys, every host is accepted unless `allowed_hosts` is set; probes and scrapes are always
    accepted, because they address the server by IP. X-Forwarded-Host is not read.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._names = tuple(name.lower() for name in settings.allowed_hosts)
        self._keyed = settings.keys_file is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] == "http" else None
        await (problem_response(refused) if refused else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        given = Headers(scope=scope).getlist("host")
        host = given[0] if given else None  # HTTP/1.0 does not require Host
        parsed = _HOST.fullmatch(host.lower()) if host is not None else None
        if len(given) > 1 or (host is not None and parsed is None):
            detail = "the Host header must be one host name or address, with or without a port"
            return ApiError(ErrorCode.BAD_REQUEST, detail, "Host", host, "HOST or HOST:PORT")
        if self._is_allowed(parsed["name"].removesuffix(".") if parsed else "", scope):
            return None
        accepted = [*(() if self._keyed else LOOPBACK), *self._names]
        detail = "the Host header is missing"
        if host:
            detail = f"{host} is not an accepted host; SHAPSHOT_ALLOWED_HOSTS adds host names"
        return ApiError(ErrorCode.MISDIRECTED_REQUEST, detail, "Host", host, accepted)

    def _is_allowed(self, name: str, scope: Scope) -> bool:
        if self._keyed:
            if not self._names or is_quiet(scope):
                return True
        elif is_loopback(name.strip("[]")) or name.endswith(".localhost"):
            return True
        return any(
            name.endswith(each[1:]) if each.startswith("*.") else name == each
            for each in self._names
        )
