"""What may stop a running explanation, and how it hears of it.

The lease thread and the signal handler set a flag; the engine calls `check` between batches and
gets an exception that no `except Exception` can swallow.

Interruption (worker.engine.control)
├── Canceled          the client asked for it
├── LeaseLost         the job may have begun elsewhere: drop everything
├── Draining          this worker must stop: give the job back
└── DeadlineExceeded  it has run for longer than it may
"""

import threading
import time

from service.jobs.leases import ModelUsage
from service.jobs.records import ProgressCount
from worker.engine.control import Interruption


class Canceled(Interruption):
    """The client asked for it."""


class LeaseLost(Interruption):
    """The job may have begun elsewhere."""


class Draining(Interruption):
    """This worker must stop."""


class DeadlineExceeded(Interruption):
    """It has run for longer than it may."""


class JobControl:
    """One explanation's flag, deadline and progress. The engine's thread reads, others set.

    work: what the model did for it; set once that is known.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.deadline = time.monotonic() + deadline_s
        self._began = time.monotonic()
        self._reason: type[Interruption] | None = None
        self._count = ProgressCount(0, 0)
        self.work: ModelUsage | None = None
        self._lock = threading.RLock()  # a signal handler may interrupt whoever holds it

    def interrupt(self, reason: type[Interruption]) -> None:
        """Stop it at the next batch; the first reason stands, but a lost lease overrides all."""
        with self._lock:
            if self._reason is None or reason is LeaseLost:
                self._reason = reason

    def shorten_deadline(self, deadline_s: float) -> None:
        """Let it end within so many seconds from now, or sooner where it had to."""
        self.deadline = min(self.deadline, time.monotonic() + deadline_s)

    def check(self) -> None:
        """Raise what was asked for, if anything was."""
        if self._reason is not None:
            raise self._reason
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded

    def progress(self, done: int, planned: int) -> None:
        """Take note of how many evaluations are done; the lease thread publishes it."""
        self._count = ProgressCount(done, planned, self._eta_s(done, planned))

    @property
    def count(self) -> ProgressCount:
        return self._count

    def _eta_s(self, done: int, planned: int) -> float | None:
        if not done:
            return None
        spent_s = time.monotonic() - self._began
        return round(spent_s / done * max(0, planned - done), 2)
