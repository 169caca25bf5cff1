"""When a request is worth repeating, and after how long."""

import httpx

from service.client.errors import ShapshotError

RETRY_STATUSES = (429, 502, 503, 504)  # 502 and 504: of a proxy that lost the server
LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0


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
