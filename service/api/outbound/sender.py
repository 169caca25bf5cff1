"""Sends one request to a checked destination: no proxy, no redirect, no cookie, bounded in time.

The connection goes to an address that was checked, and nowhere else; TLS and the Host header have
the name of the URL. A response's body is read by the caller, as far as it wants.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from service.api.outbound.destinations import (
    Destination,
    OutboundPolicy,
    UnreachableError,
    resolve,
)

CONNECT_S = 5.0  # to one address
MAX_ADDRESSES = 3  # tried, one after another


class OutboundSender:
    """Sends requests under a policy."""

    def __init__(self, policy: OutboundPolicy, context: ssl.SSLContext | None = None) -> None:
        """context: of TLS; None: made at the first request, with the usual authorities."""
        self._policy = policy
        self._context = context
        self._made: httpx.AsyncHTTPTransport | None = None

    async def check(self, url: str, *, timeout_s: float) -> None:
        """Resolves a URL. Raises OutboundError."""
        try:
            async with asyncio.timeout(timeout_s):
                await resolve(url, self._policy)
        except TimeoutError as error:
            detail = f"its host was not resolved in {timeout_s:g} s"
            raise UnreachableError(detail, "timeout") from error

    @asynccontextmanager
    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout_s: float,
    ) -> AsyncIterator[httpx.Response]:
        """Yields the response, whose body is not read yet. Raises OutboundError.

        timeout_s: for all of it, with what the caller does with the response.
        """
        try:
            async with asyncio.timeout(timeout_s):
                destination = await resolve(url, self._policy)
                response = await self._connect(method, destination, headers, content, timeout_s)
                try:
                    yield response
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise UnreachableError(f"it did not answer in {timeout_s:g} s", "timeout") from error
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    async def close(self) -> None:
        if self._made:
            await self._made.aclose()

    async def _connect(
        self,
        method: str,
        destination: Destination,
        headers: Mapping[str, str],
        content: bytes,
        timeout_s: float,
    ) -> httpx.Response:
        """Sends the request to the first address that can be connected to."""
        tried = destination.addresses[:MAX_ADDRESSES]
        for address in tried[:-1]:
            try:
                return await self._send_to(str(address), method, destination, headers, content)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send_to(str(tried[-1]), method, destination, headers, content)

    async def _send_to(
        self,
        address: str,
        method: str,
        destination: Destination,
        headers: Mapping[str, str],
        content: bytes,
    ) -> httpx.Response:
        # Not by a client: that would keep cookies of one receiver for another at its address
        request = httpx.Request(
            method,
            httpx.URL(
                scheme=destination.scheme,
                host=address,
                port=destination.port,
                raw_path=destination.target,
            ),
            headers={**headers, "Host": destination.authority, "Connection": "close"},
            content=content,
            extensions={
                "sni_hostname": destination.host.strip("[]"),
                "timeout": {"connect": CONNECT_S},
            },
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        return response

    @property
    def _transport(self) -> httpx.AsyncHTTPTransport:
        if self._made is None:
            context = self._context or httpx.create_ssl_context()  # reads SSL_CERT_FILE
            limits = httpx.Limits(max_keepalive_connections=0)  # it knows addresses, not names
            self._made = httpx.AsyncHTTPTransport(
                verify=context, trust_env=False, limits=limits, http2=False
            )
        return self._made


def _unreachable(error: httpx.HTTPError) -> UnreachableError:
    """Describes what failed, in few words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            detail = f"its certificate is not valid: {cause.verify_message}"
            return UnreachableError(detail, "tls")
        if isinstance(cause, ssl.SSLError):
            return UnreachableError(f"TLS failed: {(cause.reason or str(cause))[:200]}", "tls")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectTimeout):
        return UnreachableError(f"no connection in {CONNECT_S:g} s", "timeout")
    if isinstance(error, httpx.ConnectError):
        return UnreachableError("no connection: it refuses connections, or cannot be reached")
    if isinstance(error, httpx.RemoteProtocolError):
        return UnreachableError(f"it broke off, or does not speak HTTP: {str(error)[:200]}")
    return UnreachableError(f"the connection broke: {str(error)[:200] or type(error).__name__}")
