"""The interface through which a caller follows an explanation's progress and stops it."""

from collections.abc import Callable
from typing import Protocol

from worker.engine.preview import Preview


class Interruption(BaseException):
    """Base of the exceptions by which a control stops an explanation; not an `Exception`."""


class Control(Protocol):
    """Callbacks in the explanation's thread, between physical batches."""

    def check(self) -> None:
        """Return to go on; raise an Interruption to stop. Called at every batch."""

    def progress(self, done: int, planned: int) -> None:
        """Take the progress, `done` of `planned` evaluations; called once `planned` is known."""

    def offer(self, make: Callable[[], Preview | None]) -> None:
        """Call `make` where a preview is wanted; offered when the method has learnt more."""


class NullControl:
    """Never stops an explanation and ignores its progress."""

    def check(self) -> None:
        pass

    def progress(self, done: int, planned: int) -> None:
        pass

    def offer(self, make: Callable[[], Preview | None]) -> None:
        pass


NULL_CONTROL = NullControl()
