"""The pages that may change something here, where no key tells who asks.

Browsers let any page post a form to any address, 127.0.0.1 among them. They say in Origin and
Sec-Fetch-Site whose page it was; other clients send neither.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.problems import ApiError, problem_response
from service.infra.settings import Settings
from service.schemas.documents import ErrorCode

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SAME_SITES = ("same-origin", "none")  # none: the user's doing, such as a bookmark


class SameOriginOnly:
    """Refuses what pages of other origins would change, but for those of `cors_origins`.

    Another port of this machine is another origin, too.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._named = settings.cors_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        refused = self._refusal(Headers(scope=scope)) if asks else None
        await (problem_response(refused) if refused else self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> ApiError | None:
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if origins and all(origin in self._named for origin in origins):
            return None
        host = headers.get("host", "").lower()  # one that this server goes by
        own = (f"http://{host}", f"https://{host}")
        for origin in origins:
            if origin.lower() not in own and origin not in self._named:
                return _cross_origin_problem("Origin", origin, [*own, *self._named])
        for site in sites:
            if site not in SAME_SITES:
                return _cross_origin_problem("Sec-Fetch-Site", site, list(SAME_SITES))
        return None


def _cross_origin_problem(header: str, received: str, accepted: list[str]) -> ApiError:
    detail = (
        f"a page of another origin may change nothing here ({header}: {received}); "
        "SHAPSHOT_CORS_ORIGINS names the origins whose pages may"
    )
    return ApiError(ErrorCode.CROSS_SITE, detail, header, received, accepted)
