"""Protection against cross-site requests on a server without keys.

A browser lets any page post a form to any address, 127.0.0.1 included. It names the page's origin
in Origin and Sec-Fetch-Site; other clients send neither.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.problems import ApiError, problem_response
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SAME_SITES = ("same-origin", "none")  # none: started by the user, such as from a bookmark


class SameOriginOnly:
    """Refuses changes requested by pages of other origins, except those of `cors_origins`.

    Another port of this machine is another origin.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._cors_origins = settings.cors_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        checked = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        refused = self._refusal(Headers(scope=scope)) if checked else None
        await (problem_response(refused) if refused else self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> ApiError | None:
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if origins and all(origin in self._cors_origins for origin in origins):
            return None
        host = headers.get("host", "").lower()  # an allowed host: allowed_hosts.py checked it
        own = (f"http://{host}", f"https://{host}")
        for origin in origins:
            if origin.lower() not in own and origin not in self._cors_origins:
                return _cross_origin_problem("Origin", origin, [*own, *self._cors_origins])
        for site in sites:
            if site not in SAME_SITES:
                return _cross_origin_problem("Sec-Fetch-Site", site, list(SAME_SITES))
        return None


def _cross_origin_problem(header: str, received: str, accepted: list[str]) -> ApiError:
    detail = (
        f"pages of other origins cannot change anything here ({header}: {received}); "
        "SHAPSHOT_CORS_ORIGINS sets which other origins can"
    )
    return ApiError(ErrorCode.CROSS_SITE, detail, header, received, accepted)
