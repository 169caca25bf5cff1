"""How the outside watches an explanation and stops it."""

from typing import Protocol


class Control(Protocol):
    """Is called in the thread of the explanation, at every physical batch."""

    def check(self) -> None:
        """Return to go on; raise to stop. What is raised goes through to the caller."""

    def progress(self, done: int, planned: int) -> None:
        """Hear that `done` of `planned` evaluations are done; called once `planned` is known."""


class Unattended:
    """Never stops an explanation and tells nobody of its progress."""

    def check(self) -> None:
        pass

    def progress(self, done: int, planned: int) -> None:
        pass


UNATTENDED = Unattended()
