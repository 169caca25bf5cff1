"""Retries a call, with pauses, while its error may be temporary and there is time left."""

import math
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def retry(
    action: Callable[[], T],
    *,
    passes: Callable[[Exception], bool],
    pauses: Iterable[float],
    until: float = math.inf,
    failed: Callable[[Exception], None],
) -> T:
    """Call `action` until it succeeds; raises its error if retrying does not help.

    passes: whether an error may be temporary. pauses: seconds before each retry. The error is
    raised when the pauses are used up, or one would end after `until` (time.monotonic()). failed:
    called with each error that is retried.
    """
    left = iter(pauses)
    while True:
        try:
            return action()
        except Exception as error:
            pause_s = next(left, None) if passes(error) else None
            if pause_s is None or time.monotonic() + pause_s >= until:
                raise
            failed(error)
            time.sleep(pause_s)
