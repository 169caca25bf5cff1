"""The audit log: who asked, read, changed and was refused what, and when."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response, StreamingResponse

from service.api.auth.keys import NAME
from service.api.http.conditional import negotiate_form
from service.api.http.openapi_responses import problems
from service.api.services import ProcessServices, ProcessServicesDep
from service.api.uploads.upload import JSON
from service.evidence.audit_log import line_of
from service.jobs.audit_log import AuditLog, entry_of, sealed_until
from service.jobs.redis_keys import AUDIT, BATCH_ID, EXPLANATION_ID, as_text
from service.schemas.audit import AuditAction, AuditEntry, AuditPage
from service.schemas.documents import ErrorCode

NDJSON = "application/x-ndjson"
PAGE = 1000  # entries read at once
MAX_PAGES = 20  # read for one page of an answer
MAX_ID_PART = 2**64 - 1  # of each half of an entry's id
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The log, or as NDJSON all entries that the filters select, one a line",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}
auditors_router = APIRouter(prefix="/v1/audit", tags=["evidence"])


class AuditQuery(BaseModel):
    """The entries to list: those that all filters select."""

    model_config = ConfigDict(extra="forbid")

    actor: str | None = Field(None, pattern=f"^{NAME}$", description="Only by the key of this name")
    action: AuditAction | None = Field(None, description="Only this action")
    explanation: str | None = Field(
        None,
        pattern=f"^({EXPLANATION_ID.pattern}|{BATCH_ID.pattern})$",
        description="Only about the explanation or batch with this id",
    )
    since: AwareDatetime | None = Field(None, description="Only from this time on")
    before: AwareDatetime | None = Field(None, description="Only before this time")
    order: Literal["newest", "oldest"] = Field("newest", description="The ones to list first")
    cursor: str | None = Field(
        None, pattern=r"^\d{1,20}-\d{1,20}$", description="next_cursor of the previous page"
    )
    limit: int = Field(100, ge=1, le=1000)

    @field_validator("cursor")
    @classmethod
    def _id_of_redis(cls, cursor: str | None) -> str | None:
        if cursor and any(int(part) > MAX_ID_PART for part in cursor.split("-")):
            raise ValueError("invalid cursor; use next_cursor of the previous page")
        return cursor

    def selects(self, entry: AuditEntry) -> bool:
        wanted = ((self.actor, entry.actor), (self.action, entry.action))
        return all(want in (None, has) for want, has in wanted) and (
            self.explanation in (None, entry.explanation)
        )

    @property
    def bounds(self) -> tuple[str, str]:
        """Returns the first and the last id of the log that may be selected."""
        low = f"{_milliseconds(self.since)}-0" if self.since else "-"
        high = _excluding(f"{_milliseconds(self.before)}-0") if self.before else "+"
        if self.cursor and self.order == "newest":
            high = _excluding(self.cursor)
        elif self.cursor:
            low = _excluding(self.cursor)
        return low, high


@auditors_router.get(
    "",
    response_model=AuditPage,
    responses={
        **_LINES,
        **problems(ErrorCode.INVALID_PARAMETER, ErrorCode.NOT_ACCEPTABLE),
    },
)
async def list_audit(
    request: Request, services: ProcessServicesDep, query: Annotated[AuditQuery, Query()]
) -> Response:
    """List the audit log, newest first; as NDJSON, all of it, oldest first.

    Accept: application/x-ndjson gives all entries that the filters select, whatever the limit. A
    page may have fewer entries than the limit although there is a next one.
    """
    forms = {"json": JSON, "ndjson": NDJSON}
    form = negotiate_form(request, forms, "the audit log is given as JSON or NDJSON")
    if form == "ndjson":
        return StreamingResponse(_lines(services, query), media_type=NDJSON)
    found, place = list[AuditEntry](), query.bounds
    for _ in range(MAX_PAGES):
        raw = await _read(services, query.order, place)
        for id_, fields in raw:
            cursor = as_text(id_)
            entry = entry_of((id_, fields))
            if query.selects(entry):
                found.append(entry)
            if len(found) == query.limit:
                break
        if len(raw) < PAGE and len(found) < query.limit:
            cursor = ""
        if not cursor or len(found) == query.limit:
            break
        place = query.model_copy(update={"cursor": cursor}).bounds
    document = AuditPage(
        items=found,
        next_cursor=cursor or None,
        sealed_until=await sealed_until(services.reading),
        signing=services.sealer is not None,
    )
    return Response(document.model_dump_json(), media_type=JSON)


@auditors_router.get("/segments", response_class=Response, responses={**_LINES, **problems()})
async def get_audit_segments(services: ProcessServicesDep) -> Response:
    """Get the signed segments of the audit log, oldest first, one DSSE envelope a line.

    With them `shapshot verify` tells whether an entry of the log was changed or removed.
    """
    log = AuditLog(services.redis)

    def read() -> bytes:
        return b"".join(envelope + b"\n" for envelope in log.segments())

    return Response(await to_thread.run_sync(read), media_type=NDJSON)


async def _lines(services: ProcessServices, query: AuditQuery) -> AsyncIterator[bytes]:
    """Yields the selected entries, oldest first, in parts of several lines."""
    query = query.model_copy(update={"order": "oldest"})
    while raw := await _read(services, "oldest", query.bounds):
        yield await to_thread.run_sync(_encode, raw, query)
        query = query.model_copy(update={"cursor": as_text(raw[-1][0])})


def _encode(raw: list[Any], query: AuditQuery) -> bytes:
    return b"".join(line_of(entry) for entry in map(entry_of, raw) if query.selects(entry))


async def _read(
    services: ProcessServices, order: Literal["newest", "oldest"], bounds: tuple[str, str]
) -> list[Any]:
    low, high = bounds
    if order == "newest":
        found: Any = await services.reading.xrevrange(AUDIT, high, low, count=PAGE)
    else:
        found = await services.reading.xrange(AUDIT, low, high, count=PAGE)
    return list(found)


def _excluding(id_: str) -> str:
    """Returns an open end of a range; Redis refuses one at the least and at the largest id."""
    parts = {int(part) for part in id_.split("-")}
    return id_ if parts in ({0}, {MAX_ID_PART}) else f"({id_}"  # no entry has either


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
