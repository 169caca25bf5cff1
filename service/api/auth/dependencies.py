"""Authentication of requests; every route takes a key except the open ones that app.py names."""

from dataclasses import dataclass

import structlog
from fastapi import Request
from fastapi.security import APIKeyHeader, HTTPBearer

from service.api.auth.failed_attempts import FailedAttempts
from service.api.auth.key_store import KeyStore
from service.api.auth.keys import Scope
from service.api.auth.links import LinkSigner
from service.api.auth.principal import LINK_HOLDER, OPERATOR, Principal
from service.api.auth.rate_limit import RateLimit
from service.api.http.problems import ApiError
from service.api.http.signed_links import PresentedLink
from service.jobs.audit import set_actor
from service.schemas.documents import ErrorCode

_DESCRIPTION = "An API key; a server without keys, which listens on loopback only, requires none"
_BEARER = HTTPBearer(scheme_name="bearer", description=_DESCRIPTION, auto_error=False)
_HEADER = APIKeyHeader(
    name="X-API-Key", scheme_name="api_key", description=_DESCRIPTION, auto_error=False
)
SCHEMES = (_BEARER, _HEADER)  # for description.py


@dataclass(frozen=True)
class Guard:
    """Authenticates and rate-limits; with no keys configured, admits everyone.

    `admit`, `admit_keeper`, `admit_reader` and `admit_auditor` are dependencies of routers.
    """

    key_store: KeyStore | None
    rate_limit: RateLimit | None
    wrong_keys: FailedAttempts | None
    links: LinkSigner

    async def admit(self, request: Request) -> None:
        """Admits a caller with the scope of the method, and sets `request.state.caller`.

        A signed link needs no key. Raises ApiError unauthorized, rate_limited, forbidden,
        invalid_link, link_expired, and RedisError.
        """
        link: PresentedLink | None = getattr(request.state, "link", None)
        if link is not None:
            await self._admit_by_link(request, link)
            return
        await self._admit_key(request, Scope.READ if request.method == "GET" else Scope.EXPLAIN)

    async def admit_keeper(self, request: Request) -> None:
        """Admits the scope explain or auditor to what keeps an explanation: holds and reviews.

        Raises as `admit`.
        """
        await self._admit_key(request, Scope.EXPLAIN, Scope.AUDITOR)

    async def admit_reader(self, request: Request) -> None:
        """Admits the scope read to what shows somebody else what the caller may read.

        Raises as `admit`.
        """
        await self._admit_key(request, Scope.READ)

    async def admit_auditor(self, request: Request) -> None:
        """Admits the scope auditor. Not rate-limited, so that it works while Redis is away."""
        request.state.caller = caller = await self._authenticate(request)
        _require(caller, Scope.AUDITOR)

    async def _admit_key(self, request: Request, *scopes: Scope) -> None:
        """Admits a caller with one of the scopes."""
        request.state.caller = caller = await self._authenticate(request)
        if caller.name is not None and self.rate_limit:
            request.state.headers = await self.rate_limit.count(caller.name)
        _require(caller, *scopes)

    async def _admit_by_link(self, request: Request, link: PresentedLink) -> None:
        """Admits a reader of the link's path, which other sites may show."""
        left_s = await self.links.verify(link)
        structlog.contextvars.bind_contextvars(by="link")
        headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
        if self.key_store and self.rate_limit:
            headers |= await self.rate_limit.count(link.id)
        request.state.headers = headers
        request.state.link_left_s = left_s
        request.state.caller = LINK_HOLDER

    async def _authenticate(self, request: Request) -> Principal:
        """Returns the caller, and binds the key's name to the request's log lines.

        Calls the security schemes directly, which spares FastAPI resolving them at every request.
        Raises ApiError unauthorized, rate_limited, bad_request; none repeats a token.
        """
        bearer, header = await _BEARER(request), await _HEADER(request)
        tokens = {token for token in (bearer and bearer.credentials, header) if token}
        if len(tokens) > 1:
            detail = "Authorization and X-API-Key contain different keys; send only one"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, "X-API-Key")
        if self.key_store is None:
            return OPERATOR
        token = next(iter(tokens), None)
        caller = self.key_store.caller_of(token) if token else None
        if caller is None:
            if token and self.wrong_keys:
                await self.wrong_keys.count(request.client.host if request.client else None)
            detail = "the key is not valid on this server" if token else "the request has no key"
            accepted = ["Authorization: Bearer KEY", "X-API-Key: KEY"]
            headers = {"WWW-Authenticate": "Bearer"}
            raise ApiError(ErrorCode.UNAUTHORIZED, detail, "Authorization", None, accepted, headers)
        structlog.contextvars.bind_contextvars(key=caller.name)
        set_actor(caller.name)
        return caller


def _require(caller: Principal, *scopes: Scope) -> None:
    """Raises ApiError forbidden if the caller has none of the scopes."""
    if not any(map(caller.may, scopes)):
        detail = f"this request requires a key with the scope {' or '.join(scopes)}"
        raise ApiError(ErrorCode.FORBIDDEN, detail, None, sorted(caller.scopes), [*scopes])
