"""Reads a request body under limits of size, time and memory."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request

from service.api.http.memory_budget import Reserve
from service.api.http.problems import ApiError
from service.api.http.transfer_allowance import TransferAllowance
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode


async def read_body(
    request: Request, settings: ApiSettings, reserve: Reserve
) -> AsyncIterator[bytes]:
    """Yields the chunks; refuses a declared or actual length over the limit. Raises ApiError."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":  # a compressed body could expand to any size
        detail = "compressed bodies are not accepted; send the body without Content-Encoding"
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        headers = {"Accept-Encoding": "identity"}  # tells the client what is accepted, RFC 7694
        raise ApiError(code, detail, "Content-Encoding", encoding, ["identity"], headers)
    declared = request.headers.get("content-length", "")
    _check_length(int(declared) if declared.isdecimal() else 0, settings.max_upload_bytes)
    allowance = TransferAllowance(settings.body_patience_s, settings.min_upload_rate)
    body, length = aiter(request.stream()), 0
    while True:
        allowance.wait()
        try:
            async with asyncio.timeout(allowance.left_s):
                chunk = await anext(body, None)
        except TimeoutError:
            detail = (
                f"the body was sent too slowly: it fell {allowance.max_s:g} s behind a rate of "
                f"{allowance.bytes_per_s} bytes per second"
            )
            accepted = {"bytes_per_second": allowance.bytes_per_s}
            raise ApiError(ErrorCode.REQUEST_TIMEOUT, detail, "body", None, accepted) from None
        if chunk is None:
            return
        allowance.moved(len(chunk))
        length += len(chunk)
        _check_length(length, settings.max_upload_bytes)
        reserve(len(chunk))
        yield chunk


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        detail, accepted = f"the body is larger than {max_bytes} bytes", {"maximum": max_bytes}
        received = f"{length} bytes or more"
        raise ApiError(ErrorCode.TOO_LARGE, detail, "body", received, accepted)
