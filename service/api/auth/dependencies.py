"""Authentication of requests; every route takes a key except the open ones that app.py names."""

from dataclasses import dataclass

import structlog
from fastapi import Request
from fastapi.security import APIKeyHeader, HTTPBearer

from service.api.auth.failed_attempts import FailedAttempts
from service.api.auth.key_store import KeyStore
from service.api.auth.keys import Scope
from service.api.auth.principal import OPERATOR, Principal
from service.api.auth.rate_limit import RateLimit
from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

_SAME = "A key of the server; a server without keys, on loopback, takes none"
_BEARER = HTTPBearer(scheme_name="bearer", description=_SAME, auto_error=False)
_HEADER = APIKeyHeader(name="X-API-Key", scheme_name="api_key", description=_SAME, auto_error=False)


SCHEMES = (_BEARER, _HEADER)  # described in description.py


@dataclass(frozen=True)
class Guard:
    """Authenticates and rate-limits; with no keys configured, admits everyone.

    `admit` and `admit_admin` are dependencies of routers.
    """

    key_store: KeyStore | None
    rate_limit: RateLimit | None
    wrong_keys: FailedAttempts | None

    async def admit(self, request: Request) -> None:
        """Admits a caller with the scope of the method, and sets `request.state.caller`.

        Raises ApiError unauthorized, rate_limited, forbidden, and RedisError.
        """
        caller = await self._recognise(request)
        if caller.name is not None and self.rate_limit:
            request.state.headers = await self.rate_limit.count(caller.name)
        _demand(caller, Scope.READ if request.method == "GET" else Scope.EXPLAIN)
        request.state.caller = caller

    async def admit_admin(self, request: Request) -> None:
        """Admits the scope admin. Not rate-limited, so that it works while Redis is away."""
        _demand(await self._recognise(request), Scope.ADMIN)

    async def _recognise(self, request: Request) -> Principal:
        """Returns the caller, and binds the key's name to the request's log lines.

        Calls the security schemes directly, which spares FastAPI resolving them at every request.
        Raises ApiError unauthorized, rate_limited, bad_request.
        """
        bearer, header = await _BEARER(request), await _HEADER(request)
        tokens = {token for token in (bearer and bearer.credentials, header) if token}
        if len(tokens) > 1:
            detail = "Authorization and X-API-Key hold different keys; one is enough"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, "X-API-Key")
        host = request.client.host if request.client else None
        caller = await self._caller_of(next(iter(tokens), None), host)
        if caller.name is not None:
            structlog.contextvars.bind_contextvars(key=caller.name)
        return caller

    async def _caller_of(self, token: str | None, host: str | None) -> Principal:
        """Raises ApiError unauthorized or rate_limited, which do not repeat the token."""
        if self.key_store is None:
            return OPERATOR
        caller = self.key_store.caller_of(token) if token else None
        if caller is None:
            if token and self.wrong_keys:
                await self.wrong_keys.count(host)
            said = "this is no key of this server" if token else "there is no key"
            accepted = ["Authorization: Bearer KEY", "X-API-Key: KEY"]
            headers = {"WWW-Authenticate": "Bearer"}
            raise ApiError(ErrorCode.UNAUTHORIZED, said, "Authorization", None, accepted, headers)
        return caller


def _demand(caller: Principal, scope: Scope) -> None:
    """Raises ApiError forbidden if the caller lacks the scope."""
    if not caller.may(scope):
        detail = f"this takes a key with the scope {scope}"
        raise ApiError(ErrorCode.FORBIDDEN, detail, None, sorted(caller.scopes), [scope])
