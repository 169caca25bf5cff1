"""A limit on wrong keys for each client address, across all API processes."""

import time
from ipaddress import IPv6Address, ip_address
from typing import Self

import redis
import redis.asyncio
import structlog
from limits import RateLimitItem, parse

from service.api.auth.rate_limit import OFF, sliding_window
from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

MAX_REMEMBERED = 10_000  # addresses
log = structlog.get_logger(__name__)


class FailedAttempts:
    """Limits the wrong keys of an address; a right key is always accepted.

    So a client is not locked out by others behind the same address. Keys of 256 random bits already
    rule out guessing; the limit logs attempts and keeps them cheap. Refused addresses are
    remembered in this process, so that a flood of wrong keys costs Redis nothing.
    """

    def __init__(self, item: RateLimitItem, connection: redis.asyncio.Redis) -> None:
        self._item = item
        self._limiter = sliding_window(connection)
        self._refused_until: dict[str, float] = {}  # by address, in monotonic seconds

    @classmethod
    def of(cls, text: str, connection: redis.asyncio.Redis) -> Self | None:
        """Parses the limit of the settings; None if it is `off`."""
        return None if text == OFF else cls(parse(text), connection)

    async def count(self, host: str | None) -> None:
        """Counts a wrong key of this address. Raises ApiError rate_limited."""
        address = normalized_address(host)
        if time.monotonic() < self._refused_until.get(address, 0):
            raise self._too_many(address)
        try:
            within = await self._limiter.hit(self._item, "wrong-keys", address)
        except redis.RedisError as error:  # the key is refused either way
            log.warning("wrong key not counted", reason=type(error).__name__)
            return
        if not within:
            if len(self._refused_until) >= MAX_REMEMBERED:
                self._refused_until.clear()  # Redis still has the counts
            self._refused_until[address] = time.monotonic() + self._item.get_expiry()
            log.warning("too many wrong keys", address=address, limit=str(self._item))
            raise self._too_many(address)

    def _too_many(self, address: str) -> ApiError:
        detail = f"too many wrong keys from {address}; a valid key is still accepted"
        headers = retry_after(self._item.get_expiry())
        return ApiError(ErrorCode.RATE_LIMITED, detail, accepted=str(self._item), headers=headers)


def normalized_address(host: str | None) -> str:
    """Returns an IPv4 address, or the /64 of an IPv6 address, or `unknown` if there is no address.

    One client usually has a whole /64. Dual-stack sockets report IPv4 as ::ffff:192.0.2.7.
    """
    try:
        address = ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{IPv6Address(int(address) >> 64 << 64)}/64"
        address = address.ipv4_mapped
    return str(address)
