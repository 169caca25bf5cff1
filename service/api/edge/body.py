"""The body of a request as it arrives: so many bytes, so much patience, so much memory for all."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import anyio
from fastapi import Request

from service.api.protocol.errors import ApiError, retry_after
from service.contract.schema import ErrorCode
from service.contract.settings import Settings

Hold = Callable[[int], None]


class Bodies:
    """Counts the bytes of the bodies that the process holds, of all requests together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    @contextmanager
    def holding(self) -> Iterator[Hold]:
        """Give what is told of each chunk kept, and may raise ApiError; let go in the end."""
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            if self.held + count > self._most:
                raise _busy()
            mine += count
            self.held += count

        try:
            yield hold
        finally:
            self.held -= mine


class _Patience:
    """Seconds that a client may keep us waiting: waiting spends them, bytes sent win them back."""

    def __init__(self, most_s: float, bytes_per_s: int) -> None:
        self._left_s = self._most_s = most_s
        self._bytes_per_s = bytes_per_s

    async def next(self, body: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk; None at the end. Raises ApiError."""
        began = monotonic()
        try:
            with anyio.fail_after(self._left_s):
                chunk = await anext(body, None)
        except TimeoutError:
            raise self._too_slow() from None
        won_s = len(chunk or b"") / self._bytes_per_s
        self._left_s = min(self._most_s, self._left_s - (monotonic() - began) + won_s)
        return chunk

    def _too_slow(self) -> ApiError:
        detail = (
            f"the body came slower than {self._bytes_per_s} bytes a second, and all "
            f"{self._most_s:g} s of patience are spent"
        )
        accepted = {"bytes_per_second": self._bytes_per_s}
        return ApiError(ErrorCode.REQUEST_TIMEOUT, detail, "body", None, accepted)


async def read_body(request: Request, settings: Settings, hold: Hold) -> AsyncIterator[bytes]:
    """Its chunks, refused at the first byte too many or before any of it. Raises ApiError."""
    _check_encoding(request)
    declared = request.headers.get("content-length", "")
    _check_length(int(declared) if declared.isdecimal() else 0, settings.max_upload_bytes)
    patience = _Patience(settings.body_patience_s, settings.min_upload_rate)
    body, length = aiter(request.stream()), 0
    while (chunk := await patience.next(body)) is not None:
        length += len(chunk)
        _check_length(length, settings.max_upload_bytes)
        hold(len(chunk))
        yield chunk


def _check_encoding(request: Request) -> None:
    """A packed body would be as large as it likes."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        detail = "a request body comes as it is, without a Content-Encoding"
        headers = {"Accept-Encoding": "identity"}  # what RFC 7694 tells a client by
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


def _busy() -> ApiError:
    detail = "too many bodies are being received at this moment; send it again soon"
    return ApiError(ErrorCode.BUSY, detail, "body", headers=retry_after())
