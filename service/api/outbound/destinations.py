"""Checks a URL that a client chose, and resolves its host once, to addresses that are checked.

OutboundError               a request to a URL of a client cannot be made, or failed
├── RefusedUrlError         the URL, or an address of its host, is not accepted
└── UnreachableError        the host does not resolve, does not answer, or breaks off
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

import httpx
from anyio import CapacityLimiter, to_thread

from service.api.outbound.addresses import Address, Network, refusal
from service.schemas.requests import MAX_URL

MAX_LOOKUPS = 16  # threads that wait for the resolver
DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # as last label: an address, in some form


class OutboundError(Exception):
    """A request to a URL of a client cannot be made, or failed."""

    failure: Literal["refused_url", "timeout", "tls", "unreachable"]  # in a word


class RefusedUrlError(OutboundError):
    """The URL, or an address of its host, is not accepted."""

    failure = "refused_url"


class UnreachableError(OutboundError):
    """The host does not resolve, does not answer, or breaks off."""

    def __init__(
        self, detail: str, failure: Literal["timeout", "tls", "unreachable"] = "unreachable"
    ) -> None:
        super().__init__(detail)
        self.failure = failure


@dataclass(frozen=True)
class OutboundPolicy:
    """Where requests may go: to public addresses, by https, and to networks of the operator."""

    networks: Sequence[Network] = ()  # any scheme and port
    http: bool = False  # to public addresses too
    ports: Sequence[int] = ()  # of public addresses, beside the scheme's own


@dataclass(frozen=True)
class Destination:
    """A URL whose host is resolved; requests go to these addresses only."""

    scheme: str
    host: str  # as in the URL; an IPv6 address has brackets
    port: int
    target: bytes  # path and query
    addresses: Sequence[Address]

    @property
    def authority(self) -> str:
        """The Host header."""
        standard = DEFAULT_PORTS[self.scheme] == self.port
        return self.host if standard else f"{self.host}:{self.port}"


_lookups = CapacityLimiter(MAX_LOOKUPS)


async def resolve(url: str, policy: OutboundPolicy) -> Destination:
    """Returns the destination of a URL. Raises OutboundError.

    All addresses of the host must be accepted: one that is not could be chosen by the resolver the
    next time.
    """
    scheme, host, port, target = parse(url)
    literal = _literal(host)
    addresses = [literal] if literal else await _look_up(host)
    for address in addresses:
        _check(scheme, port, address, policy, is_literal=literal is not None)
    return Destination(scheme, host, port, target, addresses)


def parse(url: str) -> tuple[str, str, int, bytes]:
    """Returns scheme, host, port and path with query. Raises RefusedUrlError."""
    if len(url) > MAX_URL:
        raise RefusedUrlError(f"a URL may have {MAX_URL} characters; it has {len(url)}")
    if re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise RefusedUrlError("a URL has no white space, control characters or backslashes")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx.InvalidURL, ValueError) as error:
        raise RefusedUrlError(f"it is no URL: {error}") from error
    if parsed.scheme not in DEFAULT_PORTS:
        raise RefusedUrlError("a URL begins with https:// or http://")
    if parsed.userinfo:
        raise RefusedUrlError("a URL has no user name or password")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise RefusedUrlError(f"a port is a number from 1 to 65535; received {parsed.port}")
    port = parsed.port or DEFAULT_PORTS[parsed.scheme]
    if ":" in host:  # httpx has checked that it is an IPv6 address
        if "%" in host:
            raise RefusedUrlError("an IPv6 address of a URL has no zone")
        return parsed.scheme, f"[{host}]", port, parsed.raw_path
    if not _HOST.fullmatch(host):
        raise RefusedUrlError("it has no valid host name")
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and _literal(host) is None:
        raise RefusedUrlError(
            "an IPv4 address is four decimal numbers from 0 to 255 without leading zeros"
        )
    return parsed.scheme, host, port, parsed.raw_path


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


async def _look_up(host: str) -> list[Address]:
    """Returns the addresses of a host name, each once. Raises UnreachableError."""
    try:
        found = await to_thread.run_sync(
            lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM),
            abandon_on_cancel=True,
            limiter=_lookups,
        )
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no valid host name"
        raise UnreachableError(f"the host {host} does not resolve: {reason}") from error
    return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _check(
    scheme: str, port: int, address: Address, policy: OutboundPolicy, *, is_literal: bool
) -> None:
    """Raises RefusedUrlError, which does not repeat what a name resolves to."""
    if refusal(address) is None:
        if scheme == "http" and not policy.http and not _is_ours(address, policy):
            raise RefusedUrlError("only https:// is accepted here (SHAPSHOT_OUTBOUND_HTTP)")
        ports = {*DEFAULT_PORTS.values(), *policy.ports}
        if port not in ports and not _is_ours(address, policy):
            accepted = ", ".join(map(str, sorted(ports)))
            raise RefusedUrlError(
                f"port {port} is not accepted here, only {accepted} (SHAPSHOT_OUTBOUND_PORTS)"
            )
        return
    kind = refusal(address, policy.networks)
    if kind is not None:
        whose = "its address is" if is_literal else "its host has an address that is"
        raise RefusedUrlError(
            f"{whose} {kind}; requests go to public addresses, and to networks that "
            "SHAPSHOT_OUTBOUND_ALLOW names"
        )


def _is_ours(address: IPv4Address | IPv6Address, policy: OutboundPolicy) -> bool:
    return any(address in network for network in policy.networks)
