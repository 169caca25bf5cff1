"""Claims of Idempotency-Keys: Redis keeps a request's fingerprint, and what was made for it.

The script that makes it writes the claim in the same step: of equal requests one makes it.
"""

from dataclasses import dataclass


class AlreadyClaimedError(Exception):
    """An earlier request made the claim."""


@dataclass(frozen=True)
class IdempotencyClaim:
    """A claim that makes a request idempotent: the first to write it is accepted."""

    key: str  # in Redis
    text: str
    seconds: int  # until the claim expires


@dataclass(frozen=True)
class IdempotentRequest:
    """A request with an Idempotency-Key."""

    key: str  # in Redis
    fingerprint: str
    seconds: int  # that it is remembered

    def claim(self, made: str) -> IdempotencyClaim:
        """Return the claim that names what was made."""
        return IdempotencyClaim(self.key, f"{self.fingerprint} {made}", self.seconds)
