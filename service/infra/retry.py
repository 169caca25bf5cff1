"""The one way to try again: after a pause, while the error may pass and there is time left."""

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
    """Call `action` until it returns; raises its error where that does not pass.

    passes: whether it may go by itself. pauses: seconds before each further try; with the last of
    them, and where one would last beyond `until` (time.monotonic()), the error is raised.
    failed: told of each error that is followed by another try.
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
