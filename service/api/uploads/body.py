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
    _check_encoding(request)
    declared = request.headers.get("content-length", "")
    _check_length(int(declared) if declared.isdecimal() else 0, settings.max_upload_bytes)
    patience = TransferAllowance(settings.body_patience_s, settings.min_upload_rate)
    body, length = aiter(request.stream()), 0
    while (chunk := await _next(body, patience)) is not None:
        length += len(chunk)
        _check_length(length, settings.max_upload_bytes)
        reserve(len(chunk))
        yield chunk


async def _next(body: AsyncIterator[bytes], patience: TransferAllowance) -> bytes | None:
    """Returns the next chunk, or None at the end. Raises ApiError."""
    patience.wait()
    try:
        async with asyncio.timeout(patience.left_s):
            chunk = await anext(body, None)
    except TimeoutError:
        raise _too_slow(patience) from None
    patience.moved(len(chunk or b""))
    return chunk


def _too_slow(patience: TransferAllowance) -> ApiError:
    detail = (
        f"the body came slower than {patience.bytes_per_s} bytes a second, and all "
        f"{patience.most_s:g} s of patience are spent"
    )
    accepted = {"bytes_per_second": patience.bytes_per_s}
    return ApiError(ErrorCode.REQUEST_TIMEOUT, detail, "body", None, accepted)


def _check_encoding(request: Request) -> None:
    """Refuses Content-Encoding: a compressed body could expand to any size."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        detail = "a request body comes as it is, without a Content-Encoding"
        headers = {"Accept-Encoding": "identity"}  # tells the client what is accepted, RFC 7694
        raise ApiError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            detail,
            "Content-Encoding",
            encoding,
            ["identity"],
            headers,
        )


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        detail = f"a request body may have {max_bytes} bytes"
        raise ApiError(
            ErrorCode.TOO_LARGE, detail, "body", f"{length} bytes or more", {"maximum": max_bytes}
        )
