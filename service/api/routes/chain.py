"""The chain of signed statements: by it an auditor knows that no record was left out."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from service.api.http.openapi_responses import problems
from service.api.services import ProcessServicesDep
from service.jobs.sealing import RecordChain
from service.schemas.chain import ChainItem, ChainPage
from service.schemas.documents import ErrorCode

MAX_ITEMS = 10_000
auditors_router = APIRouter(prefix="/v1/records", tags=["evidence"])


@auditors_router.get("", responses=problems(ErrorCode.INVALID_PARAMETER))
async def list_records(
    services: ProcessServicesDep,
    after: Annotated[
        int | None, Query(ge=0, lt=2**53, description="Sequence of the last one known")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Most statements")] = 1000,
) -> ChainPage:
    """List the chain of signed statements, oldest first: place, id and sha256 of each.

    `shapshot verify --chain` compares bundles with it. It has what expired or was deleted too.
    """
    start = 0 if after is None else after + 1
    chain = RecordChain(services.redis)
    length = (await to_thread.run_sync(chain.head)).sequence
    entries = await to_thread.run_sync(chain.entries, start, limit)
    items = [
        ChainItem(sequence=start + n, id=each.id, sha256=each.sha256, kind=each.kind)
        for n, each in enumerate(entries)
    ]
    end = start + len(items)
    return ChainPage(
        items=items,
        length=max(length, end if items else 0),
        next_after=end - 1 if items and end < length else None,
    )
