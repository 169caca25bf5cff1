"""How much may wait, and what is said where more was asked for.

QueueLimitError      as much waits as may
├── QueueFullError   of everybody's
└── OwnerShareFullError   of this owner's
"""

from dataclasses import dataclass
from typing import Self

from service.infra.settings import Settings


class QueueLimitError(Exception):
    """As much waits as may; `retry_s`: when there may be room, None where nothing tells."""

    def __init__(self, message: str, retry_s: int | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class QueueFullError(QueueLimitError):
    """As much waits as may in all."""


class OwnerShareFullError(QueueLimitError):
    """As much of this owner's waits as may."""


@dataclass(frozen=True)
class AdmissionLimits:
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

    def refusal(self, whose: str, jobs: int, size: int, retry_s: int | None) -> QueueLimitError:
        """Of so many jobs with so many bytes; whose: there is no room, `owner` or `server`."""
        more = f"there is no room for {jobs} more, of {size} bytes"
        if whose == "owner":
            limits = (
                f"{self.owner_jobs} explanations of a key may wait, of {self.owner_bytes} bytes"
            )
            return OwnerShareFullError(f"{limits}; {more}", retry_s)
        limits = f"{self.jobs} explanations may wait, of {self.bytes} bytes"
        return QueueFullError(f"{limits}; {more}", retry_s)


UNLIMITED = AdmissionLimits()
