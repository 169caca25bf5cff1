"""The heatmap of a running explanation, as far as it is computed."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.http.conditional import document_response, not_modified
from service.api.http.openapi_responses import (
    ETAG,
    IF_NONE_MATCH,
    LOOK,
    RETRY_AFTER,
    problems,
)
from service.api.http.problems import ApiError, retry_after
from service.api.services import RequestServicesDep
from service.api.state.previews import preview_etag, read_preview, watch
from service.schemas.documents import ErrorCode
from service.schemas.previews import Preview

NEXT_S = 1  # until another look is worth while

router = APIRouter(prefix="/v1/explanations", tags=["explanations"])


@router.get(
    "/{explanation_id}/preview",
    response_model=Preview,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses={
        **LOOK,
        200: {"headers": ETAG | RETRY_AFTER},
        **problems(
            ErrorCode.NOT_FOUND, ErrorCode.GONE, ErrorCode.NO_RESULT, ErrorCode.NOT_FINISHED
        ),
    },
)
async def get_preview(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get a coarse heatmap of a running explanation, as far as it is computed.

    Its worker makes previews from the first request until 10 s after the last: at most two a
    second, and fewer if they would take more than 2 % of the job's time.
    `…/events?previews=true` sends each when it is made.
    """
    state = await services.repository.read(explanation_id)
    if state.status.done:
        detail = f"the explanation is {state.status.value}; previews end with the computation"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", explanation_id)
    connection = services.process.reading
    await watch(connection, explanation_id)
    preview = await read_preview(connection, state)
    if preview is None:
        detail = f"the explanation is {state.status.value} and has no preview yet"
        raise ApiError(
            ErrorCode.NOT_FINISHED, detail, "id", explanation_id, headers=retry_after(NEXT_S)
        )
    etag = preview_etag(state)
    if unchanged := not_modified(request, etag):
        return unchanged
    return document_response(preview, etag, NEXT_S)
