"""How the outside watches an explanation and stops it."""

from typing import Protocol


class Interruption(BaseException):
    """Base of what a control raises to stop an explanation; no `except Exception` swallows it."""


class Control(Protocol):
    """Is called in the thread of the explanation, at every physical batch."""

    def check(self) -> None:
        """Return to go on; raise an Interruption to stop."""

    def progress(self, done: int, planned: int) -> None:
        """Hear that `done` of `planned` evaluations are done; called once `planned` is known."""


class NullControl:
    """Never stops an explanation and tells nobody of its progress."""

    def check(self) -> None:
        pass

    def progress(self, done: int, planned: int) -> None:
        pass


NULL_CONTROL = NullControl()
