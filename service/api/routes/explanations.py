"""Explanations: create, read, list, cancel, delete."""

from typing import Annotated

import structlog
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api.http import offload
from service.api.http.conditional import (
    CachePolicy,
    document_response,
    not_modified,
    preferred_wait,
)
from service.api.http.openapi_responses import IF_NONE_MATCH, LOOK, PREFER, problems
from service.api.routes.list_query import ExplanationListQuery
from service.api.routes.removal import remove
from service.api.routes.submission_openapi import PICTURE, submission_request, submission_responses
from service.api.services import RequestServices, RequestServicesDep
from service.api.state import serializers
from service.api.state.repository import require_live
from service.api.submission.receive import receive
from service.api.submission.result_cache import cache_status
from service.api.submission.submit import submit
from service.api.uploads.upload import EXPLANATION, JSON
from service.jobs.records import State
from service.jobs.redis_keys import new_id
from service.schemas.documents import ErrorCode, Explanation, ExplanationList
from service.schemas.submissions import ExplanationRequest

router = APIRouter(prefix="/v1/explanations", tags=["explanations"])

_EXAMPLE = {"image": "iVBORw0KGgo…", "settings": {"outputs": {"top": 1}}}


@router.post(
    "",
    status_code=202,
    response_model=Explanation,
    response_description="Accepted: queued or running",
    openapi_extra=submission_request(ExplanationRequest, image=PICTURE, example=_EXAMPLE),
    responses=submission_responses(Explanation),
)
async def create_explanation(request: Request, services: RequestServicesDep) -> Response:
    """Explain a picture.

    If the same API key requested it before with the same files and settings, except metadata and
    priority, the new explanation is done at once, with the earlier result.
    """
    explanation_id = await receive(request, services, new_id(), EXPLANATION, submit)
    structlog.contextvars.bind_contextvars(id=explanation_id)
    state, headers = await _read_after_wait(request, services, explanation_id)
    response = await _answer(state, services, status_code=200 if state.status.done else 202)
    headers |= cache_status([state], CachePolicy.of(request))
    location = serializers.path_of(explanation_id, services.root_path)
    response.headers.update(headers | {"Location": location})
    return response


@router.get(
    "",
    response_model=ExplanationList,
    responses=problems(ErrorCode.INVALID_PARAMETER),
)
async def list_explanations(
    services: RequestServicesDep, query: Annotated[ExplanationListQuery, Query()]
) -> Response:
    """List explanations, newest first, and count them: those that all filters select."""
    selection = query.selection(services.caller)
    found = await services.repository.page(selection, query.after, query.limit, query.status)

    def page() -> str:
        items = [serializers.explanation(state, services.root_path) for state in found.items]
        return ExplanationList(
            items=items,
            next_cursor=str(found.next) if found.next else None,
            total=found.total.count,
            total_exact=found.total.exact,
        ).model_dump_json()

    content = await offload.run(page, serializers.length(*found.items))
    return Response(content, media_type=JSON)


@router.get(
    "/{explanation_id}",
    response_model=Explanation,
    openapi_extra={"parameters": [PREFER, IF_NONE_MATCH]},
    responses=LOOK,
)
async def get_explanation(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get an explanation; with the header Prefer, wait until it is done."""
    state, headers = await _read_after_wait(request, services, explanation_id)
    response = not_modified(request, serializers.etag_of(state)) or await _answer(state, services)
    response.headers.update(headers)
    return response


@router.post(
    "/{explanation_id}/cancel",
    response_model=Explanation,
    responses=problems(ErrorCode.CROSS_SITE, ErrorCode.NOT_FOUND, ErrorCode.GONE),
)
async def cancel_explanation(services: RequestServicesDep, explanation_id: str) -> Response:
    """Cancel an explanation.

    A running one ends soon, with a partial result; a finished one does not change.
    """
    await services.repository.read_to_change(explanation_id)
    await to_thread.run_sync(services.process.submissions.cancel, explanation_id)
    return await _answer(await services.repository.read(explanation_id), services)


@router.delete(
    "/{explanation_id}",
    status_code=204,
    responses=problems(
        ErrorCode.CROSS_SITE,
        ErrorCode.NOT_FOUND,
        ErrorCode.GONE,
        ErrorCode.STILL_RUNNING,
        ErrorCode.HELD,
    ),
)
async def delete_explanation(services: RequestServicesDep, explanation_id: str) -> Response:
    """Delete an explanation with its uploads and results, unless it is held."""
    await services.repository.read_to_change(explanation_id)
    return await remove(services.process, explanation_id, what="the explanation")


async def _read_after_wait(
    request: Request, services: RequestServices, explanation_id: str
) -> tuple[State, dict[str, str]]:
    """Returns the state after the preferred wait, and the Preference-Applied header."""
    present = await services.repository.read(explanation_id)
    wait_s = preferred_wait(request)
    if wait_s is None:
        return present, {}
    state = await services.process.change_feed.until_done(explanation_id, wait_s)
    return require_live(state, explanation_id), {"Preference-Applied": f"wait={wait_s}"}


async def _answer(state: State, services: RequestServices, *, status_code: int = 200) -> Response:
    retry_s = None if state.status.done else serializers.retry_after_s(state)
    etag = serializers.etag_of(state)
    content = await offload.run(
        lambda: serializers.explanation_json(state, services.root_path), serializers.length(state)
    )
    return document_response(content, etag, retry_s, status_code)
