"""When a request is worth repeating, and after how long."""

import logging
import time

import httpx

from service.client.errors import ShapshotError

RETRY_STATUSES = (429, 502, 503, 504)  # 502 and 504: of a proxy that lost the server
LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
NO_ANSWER = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.TimeoutException)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0

log = logging.getLogger("shapshot")


class Retries:
    """Repeats a request for `retry_s` after the start, or after `reset`."""

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self.reset()

    def reset(self) -> None:
        """Begin again, after an answer."""
        self.count, self._deadline = 0, time.monotonic() + self._retry_s

    def pause_s(self, error: ShapshotError | httpx.HTTPError) -> float:
        """Return the seconds to wait before the request is repeated. Raises the error if it is not.

        The first repetition is logged as a warning.
        """
        self.count += 1
        left_s = self._deadline - time.monotonic()
        pause_s = pause_before_retry(error, self.count, left_s)
        where = f"{error.request.url}: " if isinstance(error, httpx.RequestError) else ""
        if pause_s is None:
            if isinstance(error, NO_ANSWER):
                error.add_note(f"no answer from {error.request.url}")
            raise error
        if self.count == 1:
            log.warning("%s%s; trying again for up to %.0f s", where, error, left_s)
        return pause_s


def pause_before_retry(error: Exception, attempt: int, left_s: float) -> float | None:
    """Return the seconds to wait before the next attempt; None: do not repeat the request.

    attempt: number of attempts so far. left_s: seconds left for retries.
    """
    retry_after_s = None
    if isinstance(error, ShapshotError):
        repeats, retry_after_s = error.problem.status in RETRY_STATUSES, error.retry_after_s
    elif isinstance(error, httpx.HTTPStatusError):
        repeats = error.response.status_code in RETRY_STATUSES
        retry_after_s = seconds_of(error.response)
    else:
        repeats = isinstance(error, LOST)
    pause_s = retry_after_s or min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
    return pause_s if repeats and pause_s <= left_s else None


def seconds_of(response: httpx.Response) -> float | None:
    """Read Retry-After in seconds; None if it is absent or a date."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None
