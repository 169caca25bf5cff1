"""Scores of coalitions of an explanation's regions, and the masked picture of a coalition."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from service.api.http import offload
from service.api.http.conditional import not_modified, preferred_wait
from service.api.http.openapi_responses import (
    IF_NONE_MATCH,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
    binary,
    problems,
    shows_result,
)
from service.api.http.problems import ApiError, retry_after
from service.api.http.validation import validation_problem
from service.api.results import artifacts
from service.api.services import RequestServicesDep
from service.api.state import serializers
from service.api.submission.coalitions import (
    DEFAULT_WAIT_S,
    ask,
    check_regions,
    raise_if_failed,
)
from service.api.uploads import strict_json
from service.api.uploads.body import read_body
from service.api.uploads.upload import JSON
from service.jobs.records import CoalitionSpec, State
from service.schemas.documents import ErrorCode
from service.schemas.scores import (
    Coalition,
    CoalitionScores,
    MaskedPicture,
    Scores,
    ScoresRequest,
)

NUMBERS = re.compile(r"(\d{1,9}(,\d{1,9})*)?")  # regions in a query: "3,7", or ""

router = APIRouter(prefix="/v1/explanations", tags=["results"])

_EXAMPLE = {"coalitions": [{"hidden": [3, 7]}, {"shown": [1]}, {"shown": []}]}
_LOCATION = {"Location": {"description": "Path of the scores", "schema": {"type": "string"}}}
_FAILED = (  # by the worker
    ErrorCode.MODEL_CHANGED,
    ErrorCode.MODEL_FAILED,
    ErrorCode.MODEL_UNAVAILABLE,
    ErrorCode.INVALID_SETTINGS,
    ErrorCode.WORKER_LOST,
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.CANCELED,
)
_SUBMITTED = (
    *_FAILED,
    ErrorCode.INVALID_PARAMETER,
    ErrorCode.NO_WORKER,
    ErrorCode.SHARE_FULL,
    ErrorCode.QUEUE_FULL,
)
_BODY = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.CROSS_SITE,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.UNKNOWN_OUTPUT,
)


@router.post(
    "/{explanation_id}/scores",
    response_model=Scores,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/ScoresRequest"},
                    "example": _EXAMPLE,
                }
            },
        },
        "parameters": [PREFER],
    },
    responses={
        **shows_result(*_SUBMITTED, *_BODY, headers=PREFERENCE_APPLIED),
        202: {
            "model": Scores,
            "description": "Not done within the wait; poll the Location",
            "headers": _LOCATION | RETRY_AFTER | PREFERENCE_APPLIED,
        },
    },
)
async def score_coalitions(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Score coalitions of an explanation's regions, as the explanation scored its own.

    Takes up to 64 coalitions. Uses the same model, masker, fit, link and picture; `outputs` has
    the scores with all regions hidden and with all shown. Waits up to 10 s for the answer, or N
    with the header Prefer. The answer is kept for 60 s.
    """
    # the job counts against the owner's share of the queue
    state = await services.repository.read_to_change(explanation_id)
    regions = artifacts.region_count(state)
    received = request.headers.get("content-type", "")
    if received.partition(";")[0].strip().lower() != JSON:
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        detail = f"Content-Type must be {JSON}"
        raise ApiError(code, detail, "Content-Type", received or None, [JSON])
    with services.process.upload_memory.reserve() as reserve:
        body = read_body(request, services.process.settings, reserve)
        content = b"".join([chunk async for chunk in body])
        wanted = await offload.run(lambda: _validated(content, regions), len(content))
    wait_s = preferred_wait(request)
    scores = await ask(
        services,
        state,
        _asked(state, wanted.coalitions),
        outputs=wanted.outputs,
        wait_s=DEFAULT_WAIT_S if wait_s is None else wait_s,
    )
    status_code = 200 if scores.status.done else 202
    response = _respond(state, scores, services.root_path, status_code=status_code)
    if wait_s is not None:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


@router.get(
    "/{explanation_id}/scores/{scores_id}",
    response_model=Scores,
    openapi_extra={"parameters": [PREFER]},
    responses={
        200: {"headers": RETRY_AFTER | PREFERENCE_APPLIED},
        **problems(
            ErrorCode.NOT_FOUND,
            ErrorCode.GONE,
            ErrorCode.NO_RESULT,
            ErrorCode.STORE_UNAVAILABLE,
            *_FAILED,
        ),
    },
)
async def get_scores(
    request: Request, services: RequestServicesDep, explanation_id: str, scores_id: str
) -> Response:
    """Get scores that were requested; with the header Prefer, wait until they are done."""
    state = await services.repository.read(explanation_id)
    scores = await services.repository.scores(explanation_id, scores_id)
    wait_s = preferred_wait(request)
    if wait_s is not None:
        await services.process.change_feed.until_done(scores_id, wait_s)
        scores = await services.repository.scores(explanation_id, scores_id)
    response = _respond(state, raise_if_failed(scores), services.root_path, status_code=200)
    if wait_s is not None:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


class MaskedQuery(BaseModel):
    """Which regions the picture shows: exactly one of the two."""

    model_config = ConfigDict(extra="forbid")

    hidden: str | None = Field(
        None,
        pattern=f"^{NUMBERS.pattern}$",
        description="Numbers of the hidden regions, such as 3,7; all others are shown",
    )
    shown: str | None = Field(
        None,
        pattern=f"^{NUMBERS.pattern}$",
        description="Numbers of the shown regions; all others are hidden",
    )


@router.get(
    "/{explanation_id}/masked.png",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(*_SUBMITTED, ErrorCode.TOO_LARGE, content=binary(artifacts.PNG)),
)
async def get_masked_picture(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    query: Annotated[MaskedQuery, Query()],
) -> Response:
    """Get the picture that the model sees with regions hidden: its input, as 8-bit PNG.

    A worker paints it, within 10 s, else 503 with Retry-After; the model does not score it.
    """
    state = await services.repository.read(explanation_id)
    coalition = _coalition(query)
    check_regions(coalition, artifacts.region_count(state))
    etag = artifacts.etag_of(state, ("masked", request.app.version, coalition))
    if unchanged := not_modified(request, etag):
        return unchanged
    asked = _asked(state, [coalition], picture=True)
    painted = await ask(services, state, asked, wait_s=DEFAULT_WAIT_S)
    if not isinstance(painted.answer, MaskedPicture):
        detail = f"no worker has painted the picture within {DEFAULT_WAIT_S} s; request it again"
        raise ApiError(ErrorCode.BUSY, detail, headers=retry_after())
    return Response(
        painted.answer.png,
        headers=artifacts.file_headers(f"{state.id}-masked.png", etag),
        media_type=artifacts.PNG,
    )


def _validated(content: bytes, regions: int) -> ScoresRequest:
    """Parses the body of a request for scores. Raises ApiError."""
    document = strict_json.loads(content, what="body")
    try:
        wanted = ScoresRequest.model_validate(document, strict=True)
    except ValidationError as error:
        code = ErrorCode.INVALID_PARAMETER
        raise validation_problem(error, ScoresRequest, code=code) from error
    for position, coalition in enumerate(wanted.coalitions):
        check_regions(coalition, regions, under=f"coalitions.{position}.")
    return wanted


def _coalition(query: MaskedQuery) -> Coalition:
    """Returns the coalition of a query. Raises ApiError."""
    given = {name: text for name, text in query if text is not None}
    if len(given) != 1:
        detail = "give exactly one of the query parameters hidden and shown"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "hidden", given, ["hidden", "shown"])
    [(name, text)] = given.items()
    return Coalition.model_validate({name: [int(number) for number in text.split(",") if number]})


def _asked(
    state: State, coalitions: Sequence[Coalition], *, picture: bool = False
) -> CoalitionSpec:
    """Describes the coalitions for a worker. Raises ApiError."""
    explained = artifacts.outcome_of(state).outputs
    return CoalitionSpec(
        explanation=state.id,
        result=str(state.result),
        artifacts=artifacts.stored_artifacts(state),
        explained=tuple((output.index, output.label) for output in explained),
        regions=artifacts.region_count(state),
        coalitions=tuple(coalitions),
        outputs=()
        if picture
        else tuple(output.index for output in explained if output.of == "model"),
        picture=picture,
    )


def _respond(state: State, scores: State, root_path: str, *, status_code: int) -> Response:
    """Responds with the document of an explanation's scores; Retry-After until it is done."""
    found = scores.answer if isinstance(scores.answer, CoalitionScores) else None
    explanation = serializers.path_of(state.id, root_path)
    itself = f"{explanation}/scores/{scores.id}"
    document = Scores(
        id=scores.id,
        explanation=state.id,
        status=scores.status,
        done=scores.status.done,
        model=artifacts.outcome_of(state).model,
        outputs=found and found.outputs,
        scores=found and found.scores,
        links={"self": itself, "explanation": explanation},
    )
    headers = {"Location": itself, "Cache-Control": "private, no-cache"}
    if not scores.status.done:
        headers |= retry_after(serializers.retry_after_s(scores))
    return Response(document.model_dump_json(), status_code, headers, JSON)
