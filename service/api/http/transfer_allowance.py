"""A limit on the time that a client may stall an upload or a response."""

from time import monotonic


class TransferAllowance:
    """A budget of seconds: waiting spends it, transferred bytes earn it back, up to `max_s`."""

    def __init__(self, max_s: float, bytes_per_s: int) -> None:
        self.max_s = self.left_s = max_s
        self.bytes_per_s = bytes_per_s
        self._since = 0.0

    def wait(self) -> None:
        """Starts the clock."""
        self._since = monotonic()

    def moved(self, count: int) -> None:
        """Adjusts the allowance for count bytes (maybe 0) and the time since the last call."""
        now = monotonic()
        earned_s = count / self.bytes_per_s - (now - self._since)
        self.left_s = min(self.max_s, self.left_s + earned_s)
        self._since = now
