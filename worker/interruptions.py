"""Interruptions that stop a running explanation, and the flag that carries them.

The lease thread and the signal handler set a flag; the engine calls `check` between batches and
gets an exception that no `except Exception` can swallow.

Interruption (worker.engine.control)
├── Canceled          the client canceled the explanation
├── LeaseLost         another worker may have begun the job: drop all results
├── Draining          this worker is stopping: return the job to the queue
└── DeadlineExceeded  the explanation ran past its deadline
"""

import threading
import time

from service.jobs.leases import ModelUsage
from service.jobs.records import ProgressCount
from worker.engine.control import Interruption


class Canceled(Interruption):
    """The client canceled the explanation."""


class LeaseLost(Interruption):
    """Another worker may have begun the job."""


class Draining(Interruption):
    """This worker is stopping."""


class DeadlineExceeded(Interruption):
    """The explanation ran past its deadline."""


class JobControl:
    """One explanation's stop flag, deadline and progress, shared between threads.

    The engine's thread checks the flag and reports progress; other threads set the flag.
    work: the evaluations, batches and seconds that the model spent; None until the engine ends.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.deadline = time.monotonic() + deadline_s
        self._began = time.monotonic()
        self._reason: type[Interruption] | None = None
        self._count = ProgressCount(0, 0)
        self.work: ModelUsage | None = None
        self._lock = threading.RLock()  # a signal handler may run while its thread holds it

    def interrupt(self, reason: type[Interruption]) -> None:
        """Stop at the next batch. The first reason is kept, unless LeaseLost replaces it."""
        with self._lock:
            if self._reason is None or reason is LeaseLost:
                self._reason = reason

    def shorten_deadline(self, deadline_s: float) -> None:
        """Move the deadline to `deadline_s` seconds from now, unless it is sooner already."""
        self.deadline = min(self.deadline, time.monotonic() + deadline_s)

    def check(self) -> None:
        """Raise the Interruption that was set, or DeadlineExceeded past the deadline."""
        if self._reason is not None:
            raise self._reason
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded

    def progress(self, done: int, planned: int) -> None:
        """Record how many evaluations are done; the lease thread publishes it."""
        spent_s = time.monotonic() - self._began
        eta_s = round(spent_s / done * max(0, planned - done), 2) if done else None
        self._count = ProgressCount(done, planned, eta_s)

    @property
    def count(self) -> ProgressCount:
        return self._count
