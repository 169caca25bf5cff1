"""How long a client may keep us waiting for bytes, or for room to send it some."""

from time import monotonic


class TransferAllowance:
    """Seconds that waiting spends and bytes that move win back, at a rate; at most `most_s`."""

    def __init__(self, most_s: float, bytes_per_s: int) -> None:
        self.most_s = self.left_s = most_s
        self.bytes_per_s = bytes_per_s
        self._since = 0.0

    def wait(self) -> None:
        """Begin to spend."""
        self._since = monotonic()

    def moved(self, count: int) -> None:
        """So many bytes came, or went, since the last call of either; what may be none."""
        now = monotonic()
        won_s = count / self.bytes_per_s - (now - self._since)
        self.left_s = min(self.most_s, self.left_s + won_s)
        self._since = now
