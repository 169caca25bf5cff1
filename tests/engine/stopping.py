"""A control that stops an explanation, as a cancel does."""

from worker.engine.control import Interruption


class Stop(Interruption):
    """The exception of a cancel."""


class StopsAt:
    """A control that stops its explanation at the n-th check."""

    def __init__(self, stop_at):
        self.left = stop_at

    def check(self):
        self.left -= 1
        if not self.left:
            raise Stop

    def offer(self, make):
        pass

    def progress(self, done, planned):
        pass
