"""Batches: several pictures with the same settings, one explanation each."""

from typing import Annotated

import structlog
from anyio import move_on_after, to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api.http.conditional import (
    CachePolicy,
    document_response,
    not_modified,
    preferred_wait,
)
from service.api.http.openapi_responses import IF_NONE_MATCH, LOOK, PREFER, problems
from service.api.routes.list_query import BatchListQuery
from service.api.routes.removal import remove
from service.api.routes.submission_openapi import PICTURES, submission_request, submission_responses
from service.api.services import RequestServices, RequestServicesDep
from service.api.state import batch_serializers
from service.api.state.repository import BatchState
from service.api.submission.receive import receive
from service.api.submission.result_cache import cache_status
from service.api.submission.submit import submit_batch
from service.api.uploads.upload import BATCH, JSON
from service.jobs.redis_keys import new_batch_id
from service.schemas.documents import Batch, BatchList, ErrorCode
from service.schemas.submissions import BatchRequest

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_EXAMPLE = {"images": ["iVBORw0KGgo…", "iVBORw0KGgo…"]}


@router.post(
    "",
    status_code=202,
    response_model=Batch,
    response_description="All pictures are accepted: queued or running",
    openapi_extra=submission_request(BatchRequest, image=PICTURES, example=_EXAMPLE),
    responses=submission_responses(Batch),
)
async def create_batch(request: Request, services: RequestServicesDep) -> Response:
    """Explain several pictures with the same settings: all are accepted, or none.

    A problem names its picture as `images.N`, from 0. Each picture gets an explanation that can be
    followed, canceled or deleted by itself.
    """
    batch_id = await receive(request, services, new_batch_id(), BATCH, submit_batch)
    structlog.contextvars.bind_contextvars(id=batch_id)
    state, headers = await _read_after_wait(request, services, batch_id)
    response = _answer(state, services, status_code=200 if state.done else 202)
    headers |= cache_status(state.members.values(), CachePolicy.of(request))
    location = batch_serializers.path_of(batch_id, services.root_path)
    response.headers.update(headers | {"Location": location})
    return response


@router.get("", response_model=BatchList, responses=problems(ErrorCode.INVALID_PARAMETER))
async def list_batches(
    services: RequestServicesDep, query: Annotated[BatchListQuery, Query()]
) -> Response:
    """List batches, newest first, and count them."""
    selection = query.selection(services.caller)
    found = await services.repository.batch_page(selection, query.after, query.limit)
    document = BatchList(
        items=[batch_serializers.overview(each, services.root_path) for each in found.items],
        next_cursor=str(found.next) if found.next else None,
        total=found.total.count,
        total_exact=found.total.exact,
    )
    return Response(document.model_dump_json(), media_type=JSON)


@router.get(
    "/{batch_id}",
    response_model=Batch,
    openapi_extra={"parameters": [PREFER, IF_NONE_MATCH]},
    responses=LOOK,
)
async def get_batch(request: Request, services: RequestServicesDep, batch_id: str) -> Response:
    """Get a batch; with the header Prefer, wait until all its explanations are done."""
    state, headers = await _read_after_wait(request, services, batch_id)
    response = not_modified(request, batch_serializers.etag_of(state)) or _answer(state, services)
    response.headers.update(headers)
    return response


@router.post(
    "/{batch_id}/cancel",
    response_model=Batch,
    responses=problems(ErrorCode.CROSS_SITE, ErrorCode.NOT_FOUND, ErrorCode.GONE),
)
async def cancel_batch(services: RequestServicesDep, batch_id: str) -> Response:
    """Cancel all explanations of a batch that are not done.

    Running ones end soon, with partial results.
    """
    state = await services.repository.batch_to_change(batch_id)
    for member in state.members.values():
        await to_thread.run_sync(services.process.submissions.cancel, member.id)
    return _answer(await services.repository.batch(batch_id), services)


@router.delete(
    "/{batch_id}",
    status_code=204,
    responses=problems(
        ErrorCode.CROSS_SITE,
        ErrorCode.NOT_FOUND,
        ErrorCode.GONE,
        ErrorCode.STILL_RUNNING,
        ErrorCode.HELD,
    ),
)
async def delete_batch(services: RequestServicesDep, batch_id: str) -> Response:
    """Delete a batch with its explanations, uploads and results, unless one of them is held."""
    await services.repository.batch_to_change(batch_id)
    return await remove(services.process, batch_id, what="an explanation of the batch")


async def _read_after_wait(
    request: Request, services: RequestServices, batch_id: str
) -> tuple[BatchState, dict[str, str]]:
    """Returns the state after the preferred wait, and the Preference-Applied header."""
    state = await services.repository.batch(batch_id)
    wait_s = preferred_wait(request)
    if wait_s is None:
        return state, {}
    with move_on_after(wait_s):
        for member in state.members.values():
            await services.process.change_feed.until_done(member.id, wait_s)
    return await services.repository.batch(batch_id), {"Preference-Applied": f"wait={wait_s}"}


def _answer(state: BatchState, services: RequestServices, *, status_code: int = 200) -> Response:
    content = batch_serializers.batch(state, services.root_path).model_dump_json()
    retry_s = None if state.done else batch_serializers.retry_after_s(state)
    return document_response(content, batch_serializers.etag_of(state), retry_s, status_code)
