"""Reads, seals and trims the audit log in Redis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
import redis.asyncio

from service.jobs.records import ChainEntry
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import AUDIT, AUDIT_SEALED, AUDIT_SEGMENTS, as_text
from service.jobs.scripts import Scripts, Segment
from service.schemas.audit import AuditAction, AuditEntry, place_of

LAST_S = 253402300799  # of the year 9999
Raw = tuple[Any, Mapping[Any, Any]]  # an entry of a stream


def entry_of(raw: Raw) -> AuditEntry:
    """Decode an entry; one that Shapshot did not write is `unreadable`, and is sealed as such."""
    id_, fields = as_text(raw[0]), {as_text(k): as_text(v) or None for k, v in raw[1].items()}
    known = {name: fields.get(name) for name in AuditEntry.model_fields}
    try:
        at = datetime.fromtimestamp(float(fields.get("at") or "nan"), UTC)
        told = {"id": id_, "at": at, "request_id": fields.get("request")}
        return AuditEntry.model_validate(known | told)
    except (ValueError, OverflowError):
        at = datetime.fromtimestamp(min(place_of(id_)[0] / 1000, LAST_S), UTC)
        return AuditEntry.model_validate(
            dict.fromkeys(AuditEntry.model_fields)
            | {"id": id_, "at": at, "action": AuditAction.UNREADABLE, "outcome": "done"}
            | {"detail": str(fields)[:500]}
        )


@dataclass(frozen=True)
class Unsealed:
    """The first entries without a segment, and what was sealed before them."""

    entries: list[AuditEntry]
    after: str  # id of the last sealed entry; empty: there is none
    previous: str | None  # sha256 of the last segment's payload
    age_s: float  # of the first


async def sealed_until(connection: redis.asyncio.Redis) -> str | None:
    """Return the id of the last entry in a signed segment; None: none is. Raises RedisError."""
    last = await connection.hget(AUDIT_SEALED, "last")
    return as_text(last) if last else None


class AuditLog:
    """Blocking; every call may raise `redis.RedisError`."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)

    def unsealed(self, limit: int) -> Unsealed:
        """Read up to `limit` entries after the last segment."""
        last, previous = self._redis.hmget(AUDIT_SEALED, "last", "sha256")
        after = as_text(last) if last else ""
        raw: Any = self._redis.xrange(AUDIT, f"({after}" if after else "-", count=limit)
        entries = [entry_of(each) for each in raw]
        now = as_seconds(self._redis.time())
        age_s = now - place_of(entries[0].id)[0] / 1000 if entries else 0.0
        return Unsealed(entries, after, as_text(previous) if previous else None, age_s)

    def add_segment(
        self, sequence: int, found: Unsealed, envelope: str, payload_sha256: str
    ) -> str:
        """Add a segment of these entries at the end of the chain; returns segmented or moved."""
        last = found.entries[-1].id
        entry = ChainEntry(id=last, sha256=payload_sha256, kind="audit")
        segment = Segment(
            sequence=sequence,
            entry=entry.model_dump_json(),
            after=found.after,
            first=found.entries[0].id,
            last=last,
            envelope=envelope,
            sha256=payload_sha256,
        )
        tag, _ = self._scripts.run(segment)
        return tag

    def segments(self) -> Iterable[bytes]:
        """Yield the envelopes of the segments, oldest first."""
        after = "-"
        while raw := self._page(AUDIT_SEGMENTS, after):
            for id_, fields in raw:
                after = f"({as_text(id_)}"
                yield fields[b"envelope"]

    def trim(self, days: int) -> None:
        """Remove what is older, by whole segments, so that each segment can be checked."""
        cutoff = int(1000 * (as_seconds(self._redis.time()) - 86400 * days))
        while raw := self._page(AUDIT_SEGMENTS, "-", count=1):
            [(id_, fields)] = raw
            milliseconds, number = place_of(as_text(fields[b"last"]))
            if milliseconds >= cutoff:
                return
            self._redis.xtrim(AUDIT, minid=f"{milliseconds}-{number + 1}", approximate=False)
            self._redis.xdel(AUDIT_SEGMENTS, id_)
        self._redis.xtrim(AUDIT, minid=str(cutoff), approximate=False)  # none is signed

    def _page(self, stream: str, start: str, count: int = 100) -> list[Raw]:
        found: Any = self._redis.xrange(stream, start, count=count)
        return list(found)
