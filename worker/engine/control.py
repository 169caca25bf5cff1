"""The interface through which a caller follows an explanation's progress and stops it."""

from typing import Protocol


class Interruption(BaseException):
    """Base of the exceptions by which a control stops an explanation; not an `Exception`."""


class Control(Protocol):
    """Callbacks in the explanation's thread, called at every physical batch."""

    def check(self) -> None:
        """Return to go on; raise an Interruption to stop."""

    def progress(self, done: int, planned: int) -> None:
        """Take the progress, `done` of `planned` evaluations; called once `planned` is known."""


class NullControl:
    """Never stops an explanation and ignores its progress."""

    def check(self) -> None:
        pass

    def progress(self, done: int, planned: int) -> None:
        pass


NULL_CONTROL = NullControl()
