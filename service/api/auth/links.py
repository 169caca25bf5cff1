"""Signed links: results of an explanation or a batch for whoever has the link, until it expires.

The token is EXPIRY.SCOPE.MAC, where MAC is HMAC-SHA256 over the id, what the link permits and the
expiry, in seconds of Redis's clock. Nothing is stored for a link: what ends it early is a new
signing key, or the deletion of the explanation or batch.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal

import redis.asyncio
from pydantic import SecretStr

from service.api.http.problems import ApiError
from service.api.http.signed_links import PARAMETER, PresentedLink
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import LINK_KEY, as_text
from service.schemas.documents import ErrorCode

LinkScope = Literal["path", "results"]
_TOKEN = re.compile(r"(\d{1,12})\.(path|results)\.([\w-]{43})", re.ASCII)


@dataclass(frozen=True)
class LinkSigner:
    """Signs and verifies links, by the key of the settings or else one that Redis keeps.

    All API processes of a set have the same key. Every call may raise RedisError.
    """

    connection: redis.asyncio.Redis
    secret: SecretStr | None

    async def sign(self, id_: str, path: str | None, lifetime_s: int) -> tuple[str, int]:
        """Returns a token and when it expires, in seconds since the epoch.

        id_: of the explanation or batch. path: below it, normalized; None: all its results.
        """
        now, key = await self._clock_and_key()
        if key is None:
            await self.connection.set(LINK_KEY, secrets.token_hex(32), nx=True)
            now, key = await self._clock_and_key()
        if key is None:
            raise redis.RedisError("the key of links was deleted while a link was signed")
        expires_at = int(now) + lifetime_s
        scope: LinkScope = "results" if path is None else "path"
        mac = _mac(key, id_, scope, path or "", expires_at)
        return f"{expires_at}.{scope}.{mac}", expires_at

    async def verify(self, link: PresentedLink) -> int:
        """Returns the seconds left. Raises ApiError invalid_link, link_expired."""
        now, key = await self._clock_and_key()
        match = _TOKEN.fullmatch(link.token)
        expires_at, scope, mac = (int(match[1]), match[2], match[3]) if match else (0, "", "")
        path = link.path if scope == "path" else ""
        expected = _mac(key or secrets.token_hex(32), link.id, scope, path, expires_at)
        permitted = scope == "path" or link.is_result
        if not (hmac.compare_digest(mac, expected) and permitted):
            detail = (
                "the link is not valid: it was altered, permits something else, or was signed with "
                "a key that has been replaced"
            )
            raise ApiError(ErrorCode.INVALID_LINK, detail, PARAMETER)
        left_s = expires_at - now
        if left_s <= 0:
            detail = "the link has expired; ask its sender for a new one"
            raise ApiError(ErrorCode.LINK_EXPIRED, detail, PARAMETER)
        return int(left_s)

    async def _clock_and_key(self) -> tuple[float, str | None]:
        async with self.connection.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.get(LINK_KEY)
            now, kept = await pipe.execute()
        if self.secret:
            return as_seconds(now), self.secret.get_secret_value()
        return as_seconds(now), as_text(kept) if kept else None


def _mac(key: str, id_: str, scope: str, path: str, expires_at: int) -> str:
    signed = "\n".join(["shapshot link 1", id_, scope, path, str(expires_at)])
    digest = hmac.digest(key.encode(), signed.encode(errors="surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
