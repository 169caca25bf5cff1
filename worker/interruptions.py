"""Interruptions that stop a running explanation, and the control that carries them.

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
from collections.abc import Callable

from service.jobs.leases import ModelUsage
from service.jobs.records import ProgressCount
from service.jobs.scripts import EncodedPreview
from worker.engine.control import Interruption
from worker.engine.preview import Preview
from worker.preview_throttle import PreviewThrottle


class Canceled(Interruption):
    """The client canceled the explanation."""


class LeaseLost(Interruption):
    """Another worker may have begun the job."""


class Draining(Interruption):
    """This worker is stopping."""


class DeadlineExceeded(Interruption):
    """The explanation ran past its deadline."""


class JobControl:
    """One explanation's stop flag, deadline, progress and preview, shared between threads.

    The engine's thread checks the flag, reports progress and makes previews; other threads set the
    flag. work: the evaluations, batches and seconds that the model spent; None until the engine
    ends. watched: whether a client watches previews. encode_preview: None until the explanation is
    prepared. throttle: shared by the explanations that run side by side.
    """

    def __init__(self, *, deadline_s: float, throttle: PreviewThrottle | None = None) -> None:
        self.deadline = time.monotonic() + deadline_s
        self._began = time.monotonic()
        self._reason: type[Interruption] | None = None
        self._count = ProgressCount(0, 0)
        self.work: ModelUsage | None = None
        self.watched = False
        self.encode_preview: Callable[[Preview], str] | None = None
        self._throttle = throttle or PreviewThrottle()
        self._preview: EncodedPreview | None = None
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

    def offer(self, make: Callable[[], Preview | None]) -> None:
        """Make a preview if a client watches and the throttle allows it."""
        if not (self.watched and self.encode_preview and self._throttle.is_due()):
            return
        with self._throttle.making():
            if preview := make():
                encoded = EncodedPreview(self.encode_preview(preview), preview.evaluations)
                with self._lock:
                    self._preview = encoded

    def take_preview(self) -> EncodedPreview | None:
        """Return the preview that was made since the last call."""
        with self._lock:
            preview, self._preview = self._preview, None
        return preview
