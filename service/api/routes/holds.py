"""Holds: they keep an explanation from expiry and deletion until they are released."""

from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.auth.keys import Scope
from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError
from service.api.routes.removal import held_problem
from service.api.services import RequestServices, RequestServicesDep
from service.api.state.repository import require_live
from service.api.state.serializers import hold_of
from service.api.submission import small_document
from service.api.submission.small_document import read_document
from service.api.uploads.upload import JSON
from service.jobs.submissions import HeldError, HoldInPastError
from service.schemas.documents import ErrorCode
from service.schemas.keeping import Hold, HoldRequest

router = APIRouter(prefix="/v1/explanations", tags=["evidence"])
keepers_router = APIRouter(prefix="/v1/explanations", tags=["evidence"])  # auditors too
_EXAMPLE = {"reason": "Complaint 2026-117", "until": "2027-12-31T00:00:00Z"}
_FREE = "the explanation is not held"


@keepers_router.put(
    "/{explanation_id}/hold",
    response_model=Hold,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/HoldRequest"}, "example": _EXAMPLE}
            },
        }
    },
    responses=problems(*small_document.PROBLEMS, ErrorCode.HELD),
)
async def hold_explanation(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Hold:
    """Hold an explanation: it neither expires nor can be deleted until the hold is released.

    Whoever may change the explanation may hold it, and so may keys of scope auditor. The same name
    may change the reason and the end of its hold; only an admin may change that of another.
    """
    state = await services.repository.read(explanation_id)
    asked = await read_document(request, services.process, HoldRequest)
    by, submissions = _holder(services, asked.name), services.process.submissions
    ends = asked.until.timestamp() if asked.until else None
    hold = partial(
        submissions.hold, state.id, by, asked.reason, ends, replaces=_may_replace(services)
    )
    try:
        kept = await to_thread.run_sync(hold)
    except HeldError as error:
        problem = partial(held_problem, services.process, error.id, "held by another")
        raise await to_thread.run_sync(problem) from error
    except HoldInPastError as error:
        detail = "until: the time is over by the clock of Redis; give a later one, or none"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "until", str(asked.until)) from error
    state = require_live(await services.repository.find(explanation_id), explanation_id)
    found = hold_of(state)
    if not kept or found is None:
        detail = "the explanation has expired; its uploads and results are deleted"
        raise ApiError(ErrorCode.GONE, detail, "id", explanation_id)
    return found


@router.get(
    "/{explanation_id}/hold",
    responses=problems(ErrorCode.NOT_FOUND, ErrorCode.GONE, ErrorCode.NO_RESULT),
)
async def get_hold(services: RequestServicesDep, explanation_id: str) -> Hold:
    """Get who holds an explanation, since when and why."""
    found = hold_of(await services.repository.read(explanation_id))
    if found is None:
        raise ApiError(ErrorCode.NO_RESULT, _FREE, "id", explanation_id)
    return found


@keepers_router.delete(
    "/{explanation_id}/hold",
    status_code=204,
    responses=problems(
        ErrorCode.CROSS_SITE,
        ErrorCode.NOT_FOUND,
        ErrorCode.GONE,
        ErrorCode.NO_RESULT,
        ErrorCode.HELD,
    ),
)
async def release_hold(services: RequestServicesDep, explanation_id: str) -> Response:
    """Release a hold; the explanation expires after the rest of its time, at least a day.

    Only the name that holds it and an admin may.
    """
    state = await services.repository.read(explanation_id)
    release = partial(
        services.process.submissions.release_hold,
        state.id,
        services.caller.name or "",
        replaces=_may_replace(services),
    )
    try:
        released = await to_thread.run_sync(release)
    except HeldError as error:
        problem = partial(held_problem, services.process, error.id, "released by another")
        raise await to_thread.run_sync(problem) from error
    if not released:
        raise ApiError(ErrorCode.NO_RESULT, _FREE, "id", explanation_id)
    return Response(status_code=204)


def _may_replace(services: RequestServices) -> bool:
    """Whether the caller may change and release the holds of others."""
    return services.caller.may(Scope.ADMIN)


def _holder(services: RequestServices, name: str | None) -> str:
    """Returns the name of the key, or without keys the name that is given. Raises ApiError."""
    key = services.caller.name
    if key is None and name is None:
        detail = "name: this server has no keys that name who holds it, so give a name"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "name")
    if key is not None and name not in (None, key):
        detail = f"name: the key {key} holds in its own name; leave name out"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "name", name, [key])
    return str(key or name)
