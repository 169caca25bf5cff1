"""Server-sent events: the document of an explanation now, and again whenever it changes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache
from typing import Annotated

import redis
import structlog
from fastapi import APIRouter, Query, Request
from redis.asyncio import Redis as AsyncRedis
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from service.api.http import offload
from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError, problem_of
from service.api.services import RequestServicesDep
from service.api.state import serializers
from service.api.state.change_feed import ChangeFeed
from service.api.state.previews import preview_etag, read_preview
from service.api.state.repository import require_live
from service.jobs.codec import CACHED_EXPLANATIONS
from service.jobs.records import State
from service.schemas.documents import ErrorCode

PING_S = 15
RECONNECT_S = 1.0

router = APIRouter(prefix="/v1/explanations", tags=["explanations"])
log = structlog.get_logger(__name__)

_EXAMPLE = 'id: 3\r\nevent: progress\r\ndata: {"id": "exp_…", "status": "running", …}\r\n\r\n'
_STREAM = {
    "description": "`progress` with the document, after each change; at the end `done` with the "
    "document, or `gone` with a problem. The `id` of an event is the document's version. With "
    "`previews=true` also `preview`, without an `id`, with a coarse heatmap of what is computed so "
    "far (as of `GET …/preview`), at most two a second.",
    "content": {"text/event-stream": {"example": _EXAMPLE}},  # OpenAPI 3.1 has no schema of streams
}


@router.get(
    "/{explanation_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: _STREAM,
        204: {"description": "Last-Event-ID is that of the last event; no event follows"},
        **problems(ErrorCode.NOT_FOUND, ErrorCode.GONE, ErrorCode.INVALID_PARAMETER),
    },
)
async def follow_explanation(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    previews: Annotated[bool, Query(description="Send previews, too")] = False,
) -> Response:
    """Follow an explanation until it is done."""
    state = await services.repository.read(explanation_id)
    if state.status.done and request.headers.get("last-event-id") == str(state.version):
        return Response(status_code=204)  # stops EventSource from reconnecting
    following = events_of(
        services.process.change_feed,
        explanation_id,
        services.root_path,
        services.process.reading if previews else None,
    )
    return EventSourceResponse(following, ping=PING_S)


async def events_of(
    feed: ChangeFeed, explanation_id: str, root_path: str, previewed: AsyncRedis | None = None
) -> AsyncGenerator[bytes, None]:
    """Yields events; pauses while Redis is away. previewed: where previews are read; None: never"""
    sent = None
    while True:
        try:
            following = feed.follow(explanation_id, watched=previewed is not None)
            async with aclosing(following) as changes:
                async for state in changes:
                    yield await _event(state, explanation_id, root_path)
                    if not (state and previewed) or preview_etag(state) == sent:
                        continue
                    if preview := await read_preview(previewed, state):
                        sent = preview_etag(state)
                        yield ServerSentEvent(preview, event="preview").encode()
            return
        except redis.RedisError as error:
            log.warning("events paused", id=explanation_id, reason=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)


async def _event(state: State | None, explanation_id: str, root_path: str) -> bytes:
    try:
        live = require_live(state, explanation_id)
        return await offload.run(lambda: _document_event(live, root_path), serializers.length(live))
    except ApiError as error:
        return ServerSentEvent(problem_of(error).model_dump_json(), event="gone").encode()


@lru_cache(CACHED_EXPLANATIONS)
def _document_event(state: State, root_path: str) -> bytes:
    """Returns the event `progress` or `done`, cached for all followers."""
    event = ServerSentEvent(
        serializers.explanation_json(state, root_path),
        event="done" if state.status.done else "progress",
        id=str(state.version),
    )
    return event.encode()
