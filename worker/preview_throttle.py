"""Limits how often a job makes previews, and how much of its time they may take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERVAL_S = 0.5  # between two previews, at least
SHARE = 0.015  # of the job's time; below the 2 % of docs/dashboard.md, as costs are estimates
FIRST_S = 0.02  # that the first is expected to take
GROWTH = 2  # of the time that the next is expected to take, as methods know more by then


class PreviewThrottle:
    """Decides when a job may make its next preview, from the time that the earlier ones took.

    clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._made_at = float("-inf")
        self._spent_s = 0.0
        self._expected_s = FIRST_S

    def is_due(self) -> bool:
        """Return whether a preview of the expected cost would keep within both limits."""
        now = self._clock()
        affordable_s = SHARE * (now - self._began) - self._spent_s
        return now - self._made_at >= INTERVAL_S and self._expected_s <= affordable_s

    @contextmanager
    def making(self) -> Iterator[None]:
        """Take the time of a preview."""
        began = self._clock()
        try:
            yield
        finally:
            self._made_at = self._clock()
            took_s = self._made_at - began
            self._spent_s += took_s
            self._expected_s = GROWTH * took_s
