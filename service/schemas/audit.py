"""The audit log: its entries, and the signed segments that show whether it was changed."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.evidence import Sha256
from service.schemas.record import Chain, SignedStatement

SEGMENT_TYPE = "urn:shapshot:audit-segment:v1"


class AuditAction(StrEnum):
    """What happened."""

    ASKED = "asked"  # an explanation, or a batch, was requested and accepted
    READ = "read"
    CANCELED = "canceled"
    DELETED = "deleted"
    EXPIRED = "expired"
    HELD = "held"
    RELEASED = "released"  # from its hold
    REVIEWED = "reviewed"
    LINK_MADE = "link_made"
    LINK_USED = "link_used"
    REFUSED = "refused"  # 401 or 403
    CONFIGURED = "configured"  # a webhook was made, changed or removed
    STARTED = "started"  # an API process, with its version and keys
    KEYS_CHANGED = "keys_changed"
    AUDIT_READ = "audit_read"
    UNREADABLE = "unreadable"  # an entry that Shapshot did not write


class AuditEntry(ResponseModel):
    """An entry of the audit log: who did what, when and with what outcome."""

    id: str = Field(description="Of the entry; ids grow")
    at: datetime = Field(description="By the clock of Redis, in UTC")
    action: AuditAction
    actor: str | None = Field(
        description="Name of the API key; null: none was sent, or the service did it itself"
    )
    explanation: str | None = Field(description="Id of the explanation, or of the batch")
    owner: str | None = Field(description="Name of the key that submitted it")
    what: str | None = Field(description="What was read, made or refused, such as `picture`")
    outcome: Literal["done", "refused"]
    detail: str | None = Field(description="Why, such as the reason of a hold; no content")
    request_id: str | None = Field(description="X-Request-ID, as in the log of the server")
    address: str | None = Field(
        description="Of the client, if SHAPSHOT_AUDIT_ADDRESSES is true; else null"
    )


def place_of(id_: str) -> tuple[int, int]:
    """Return an id of an entry as numbers, which have the order of the log. Raises ValueError."""
    milliseconds, _, number = id_.partition("-")
    return int(milliseconds), int(number)


class AuditPage(ResponseModel):
    """A page of the audit log; `next_cursor` is null on the last."""

    items: list[AuditEntry]
    next_cursor: str | None
    sealed_until: str | None = Field(
        description="Id of the last entry of the log that is in a signed segment; those after it "
        "are not signed yet. Null: none is signed"
    )
    signing: bool = Field(description="False: the server has no key, so it signs no more entries")

    def is_signed(self, entry: AuditEntry) -> bool:
        """Return whether a segment had the entry when this page was read."""
        return self.sealed_until is not None and place_of(entry.id) <= place_of(self.sealed_until)


class AuditSegment(ResponseModel):
    """The predicate: entries that follow each other in the log, none left out."""

    sealed_at: datetime = Field(description="By the clock of Redis, in UTC")
    chain: Chain
    first: str = Field(description="Id of its first entry")
    last: str = Field(description="Id of its last entry")
    count: int = Field(ge=1, description="Number of its entries")
    sha256: Sha256 = Field(
        description="Of its entries, each as canonical JSON (RFC 8785) and a line feed"
    )
    previous: Sha256 | None = Field(
        description="sha256 of the payload of the segment before it; null: it is the first"
    )


class SegmentStatement(SignedStatement):
    """An in-toto statement about a segment of the audit log."""

    predicateType: Literal["urn:shapshot:audit-segment:v1"]  # noqa: N815 - in-toto's name
    predicate: AuditSegment

    @property
    def signed_at(self) -> datetime:
        return self.predicate.sealed_at
