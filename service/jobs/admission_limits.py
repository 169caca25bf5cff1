"""How much may wait, and what is said where more was asked for.

NoRoom      as much waits as may
├── QueueFull   of everybody's
└── ShareFull   of this owner's
"""

from dataclasses import dataclass
from typing import Self

from service.infra.settings import Settings


class NoRoom(Exception):  # noqa: N818
    """As much waits as may; `retry_s`: when there may be room, None where nothing tells."""

    def __init__(self, message: str, retry_s: int | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class QueueFull(NoRoom):
    """As much waits as may in all."""


class ShareFull(NoRoom):
    """As much of this owner's waits as may."""


@dataclass(frozen=True)
class Caps:
    """What may wait at most: explanations, and bytes uploaded for them; None: any number."""

    jobs: int | None = None
    bytes: int | None = None
    owner_jobs: int | None = None  # of one owner
    owner_bytes: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.max_queued,
            settings.max_queued_bytes,
            settings.max_queued_per_key,
            settings.max_queued_bytes_per_key,
        )

    def refusal(self, whose: str, jobs: int, size: int, retry_s: int | None) -> NoRoom:
        """Of so many jobs with so many bytes; whose: there is no room, `owner` or `server`."""
        more = f"there is no room for {jobs} more, of {size} bytes"
        if whose == "owner":
            limits = (
                f"{self.owner_jobs} explanations of a key may wait, of {self.owner_bytes} bytes"
            )
            return ShareFull(f"{limits}; {more}", retry_s)
        limits = f"{self.jobs} explanations may wait, of {self.bytes} bytes"
        return QueueFull(f"{limits}; {more}", retry_s)


UNLIMITED = Caps()
