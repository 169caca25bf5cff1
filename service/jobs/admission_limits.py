"""Admission control: limits on waiting jobs, and the errors that report a full queue.

QueueLimitError           a limit on waiting jobs is reached
├── QueueFullError        the limit of the whole server
└── OwnerShareFullError   the limit of one owner
"""

from dataclasses import dataclass
from typing import Self

from service.infra.settings.api import ApiSettings


class QueueLimitError(Exception):
    """A limit on waiting jobs is reached; `retry_s`: estimated wait for room, None if unknown."""

    def __init__(self, message: str, retry_s: int | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class QueueFullError(QueueLimitError):
    """The limit of the whole server is reached."""


class OwnerShareFullError(QueueLimitError):
    """The limit of this owner is reached."""


@dataclass(frozen=True)
class AdmissionLimits:
    """Limits on waiting explanations and on the bytes uploaded for them; None: unlimited."""

    jobs: int | None = None
    bytes: int | None = None
    owner_jobs: int | None = None  # per owner
    owner_bytes: int | None = None

    @classmethod
    def of(cls, settings: ApiSettings) -> Self:
        return cls(
            settings.max_queued,
            settings.max_queued_bytes,
            settings.max_queued_per_key,
            settings.max_queued_bytes_per_key,
        )

    def refusal(self, reached: str, jobs: int, size: int, retry_s: int | None) -> QueueLimitError:
        """Build the error for rejected jobs; reached: the limit, of the `owner` or `server`."""
        more = f"no room for {jobs} more, of {size} bytes"
        if reached == "owner":
            limits = f"at most {self.owner_jobs} explanations of a key, of {self.owner_bytes} bytes"
            return OwnerShareFullError(f"{limits}, may be queued; {more}", retry_s)
        limits = f"at most {self.jobs} explanations, of {self.bytes} bytes"
        return QueueFullError(f"{limits}, may be queued; {more}", retry_s)
