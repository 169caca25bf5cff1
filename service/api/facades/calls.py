"""The steps of an explain call: submit the pictures, wait, and answer with the arrays."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from anyio import move_on_after, to_thread
from fastapi import Request
from starlette.responses import Response

from service.api.facades import kserve, vertex
from service.api.facades.answers import Explained, require_results
from service.api.facades.error_forms import answer_as_vertex
from service.api.facades.instances import Instances, read_instances
from service.api.facades.settings import renamed
from service.api.http import offload
from service.api.http.conditional import CachePolicy, document_response, preferred_wait
from service.api.http.problems import ApiError
from service.api.http.send_in_pieces import PIECE_BYTES
from service.api.results import artifacts
from service.api.results.array_formats import json_document
from service.api.results.streaming import Stream
from service.api.services import RequestServices
from service.api.state import batch_serializers, serializers
from service.api.state.repository import BatchState, require_live
from service.api.submission.idempotency import submit_once
from service.api.submission.result_cache import cache_status
from service.api.submission.submit import submit, submit_batch
from service.api.uploads.body import read_body
from service.api.uploads.strict_json import MAX_VALUES
from service.api.uploads.upload import JSON, Upload
from service.jobs.records import State
from service.jobs.redis_keys import BATCH_ID, new_batch_id, new_id
from service.jobs.worker_registry import read_live_workers
from service.schemas.documents import ErrorCode
from service.schemas.models import ModelCard
from service.schemas.requests import ExplanationSettings

NUMBER_BYTES = 16  # of a number of a picture, in its row and then among all


@dataclass(frozen=True)
class Call:
    """A call whose pictures are accepted."""

    id: str  # of the explanation, or of the batch of several
    input_names: list[str]
    is_vertex: bool  # else KServe's form

    def path(self, root_path: str) -> str:
        if BATCH_ID.fullmatch(self.id):
            return batch_serializers.path_of(self.id, root_path)
        return serializers.path_of(self.id, root_path)


async def accept(
    request: Request, services: RequestServices, model: str, *, is_vertex: bool
) -> Call:
    """Submits the pictures of a request. Raises ApiError.

    is_vertex: whether the path says so; else the fields of the request do.
    """
    process = services.process
    with process.upload_memory.reserve() as reserve:
        body = read_body(request, process.settings, reserve)
        content = b"".join([chunk async for chunk in body])
        taken = await _parsed(content, services)
        del content
        is_vertex = is_vertex or not vertex.MARKS.isdisjoint(taken.document)
        if is_vertex:
            answer_as_vertex(request.scope)
        card = await to_thread.run_sync(_card_of, services, model)
        count = len(taken.pictures)
        names = vertex.NAMES if is_vertex else kserve.NAMES
        try:
            upload = Upload(
                images={f"instances.{n}": each.content for n, each in enumerate(taken.pictures)},
                file_names=[None] * count,
                settings=_settings(services, taken, card, is_vertex=is_vertex),
                caching=CachePolicy.of(request),
            )
            new, send = (new_id(), submit) if count == 1 else (new_batch_id(), submit_batch)
            key = request.headers.get("idempotency-key")
            id_ = await submit_once(services, key, upload, new, send)
        except ApiError as error:
            raise renamed(error, names) from error
    structlog.contextvars.bind_contextvars(id=id_)
    return Call(id_, [each.input_name for each in taken.pictures], is_vertex)


async def _parsed(content: bytes, services: RequestServices) -> Instances:
    parse, numbers = partial(read_instances, content), content.count(b",")
    if numbers <= MAX_VALUES:
        return await offload.run(parse, len(content))
    held = 2 * len(content) + NUMBER_BYTES * numbers
    return await services.process.heavy_calls.run(parse, held=held)


def _card_of(services: RequestServices, model: str) -> ModelCard:
    """Returns the card of the model that the path names. Blocking. Raises ApiError."""
    cards = read_live_workers(services.process.redis).usable
    for card in cards:
        if card.name == model:
            return card
    names = [card.name for card in cards]
    raise ApiError(ErrorCode.NOT_FOUND, f"there is no model {model[:100]!r}", "model", model, names)


def _settings(
    services: RequestServices, taken: Instances, card: ModelCard, *, is_vertex: bool
) -> ExplanationSettings:
    count, most = len(taken.pictures), services.process.settings.max_evals
    if is_vertex:
        return vertex.settings_of(taken.document, card, count, max_evals=most)
    return kserve.settings_of(taken.document, card, count)


# --- Waiting


async def states_after_wait(
    request: Request, services: RequestServices, call: Call
) -> list[State] | None:
    """Returns the explanations of a call, once all are done; None if the wait was too short."""
    preferred = preferred_wait(request)
    wait_s = services.process.settings.explain_wait_s if preferred is None else preferred
    request.scope["waits"] = True  # for the metrics
    feed = services.process.change_feed
    if not BATCH_ID.fullmatch(call.id):
        state = require_live(await feed.until_done(call.id, wait_s), call.id)
        return [state] if state.status.done else None
    with move_on_after(wait_s):
        for id_ in (await _batch(services, call)).batch.members:
            await feed.until_done(id_, wait_s)
    found = await _batch(services, call)
    if not found.done:
        return None
    gone = sorted(set(range(len(call.input_names))) - set(found.members))
    if gone:
        field = f"instances.{gone[0]}"
        raise ApiError(ErrorCode.GONE, f"{field}: its explanation was deleted", field, call.id)
    return [found.members[n] for n in range(len(call.input_names))]


async def _batch(services: RequestServices, call: Call) -> BatchState:
    return await services.repository.batch(call.id)


# --- Answers


def whole_answer(
    request: Request, services: RequestServices, call: Call, states: list[State]
) -> Response:
    """Responds with the arrays, which are read while they are sent. Raises ApiError."""
    require_results(states)
    request.state.shown = [state.id for state in states]  # for the audit log
    explained = [Explained(*each) for each in zip(states, call.input_names, strict=True)]
    answer = (vertex if call.is_vertex else kserve).answer

    def open_() -> tuple[None, Any]:
        return None, json_document(answer(services, explained))

    headers = {"Location": call.path(services.root_path), "Cache-Control": "private, no-cache"}
    return Stream(
        open_,
        held=2 * artifacts.OUTPUTS_BYTES + 8 * PIECE_BYTES,
        answers=services.process.response_memory,
        headers=headers | cache_status(states, CachePolicy.of(request)),
        media_type=JSON,
    )


async def later_answer(services: RequestServices, call: Call) -> Response:
    """Responds with the document of what is not done yet: 202, and where to look again."""
    if BATCH_ID.fullmatch(call.id):
        batch = await _batch(services, call)
        content = batch_serializers.batch(batch, services.root_path).model_dump_json()
        etag, retry_s = batch_serializers.etag_of(batch), batch_serializers.retry_after_s(batch)
    else:
        state = await services.repository.read(call.id)
        content = serializers.explanation_json(state, services.root_path)
        etag, retry_s = serializers.etag_of(state), serializers.retry_after_s(state)
    response = document_response(content, etag, retry_s, status_code=202)
    response.headers["Location"] = call.path(services.root_path)
    return response
