"""What arrays, curves and pictures share: is there a result, of which outputs, how is it sent."""

import hashlib
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.responses import Response

from service.api.protocol.errors import ApiError, retry_after
from service.api.protocol.headers import not_modified
from service.api.reading import documents
from service.api.services import Services
from service.contract.outcome import Curve, Faithfulness, Outcome
from service.contract.records import State
from service.contract.schema import ErrorCode
from service.contract.store import MissingArtefact, attributions_key, faithfulness_key, image_key

PNG = "image/png"
FRESH_S = 86400  # a result never changes; it may go with its explanation


def outcome_of(state: State) -> Outcome:
    """The outcome whose arrays are stored. Raises ApiError not_finished, no_result."""
    if not state.status.done:
        detail = f"the explanation is {state.status.value}; there is a result when it is done"
        headers = retry_after(documents.next_look_s(state))
        raise ApiError(ErrorCode.NOT_FINISHED, detail, "id", state.id, headers=headers)
    if state.outcome is None or state.result is None:
        reason = state.error.detail if state.error else "nothing had been computed by then"
        detail = f"the explanation is {state.status.value} and has no result: {reason}"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    return state.outcome


def positions(outcome: Outcome, wanted: Sequence[str]) -> list[int]:
    """Where the outputs, by index or label, stand among those explained; all for none wanted."""
    chosen = [_position(outcome, name) for name in wanted]
    return list(dict.fromkeys(chosen)) or list(range(len(outcome.outputs)))


def _position(outcome: Outcome, name: str) -> int:
    indices = [str(output.index) for output in outcome.outputs]
    labels = [output.label for output in outcome.outputs]
    if name in indices:
        return indices.index(name)
    if labels.count(name) == 1:
        return labels.index(name)
    what = "names several outputs" if name in labels else "is not among the outputs explained"
    explained = [{"index": each.index, "label": each.label} for each in outcome.outputs]
    detail = f"output {name[:100]!r} {what}"
    raise ApiError(ErrorCode.UNKNOWN_OUTPUT, detail, "output", name, explained)


def load_arrays(services: Services, state: State) -> bytes:
    """The npz as the worker stored it. Blocking. Raises ApiError, StoreError."""
    return _load(services, attributions_key(state.id, str(state.result)), what="result")


def load_curves(services: Services, state: State) -> list[Curve]:
    """The curves of faithfulness. Blocking. Raises ApiError, StoreError."""
    stored = _load(services, faithfulness_key(state.id, str(state.result)), what="result")
    return Faithfulness.model_validate_json(stored).curves


def load_upload(services: Services, state: State) -> bytes:
    """The picture as it was sent. Blocking. Raises ApiError, StoreError."""
    return _load(services, image_key(state.id), what="picture")


def _load(services: Services, key: str, *, what: str) -> bytes:
    try:
        return services.store.get(key)
    except MissingArtefact as error:
        detail = f"the {what} is no longer in the store"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id") from error


def etag_of(state: State, variant: object) -> str:
    """Of one way to show the result of one attempt."""
    digest = hashlib.sha256(repr(variant).encode()).hexdigest()
    return f'W/"{state.result}.{digest[:16]}"'


async def answer(
    request: Request,
    make: Callable[[], bytes],
    media_type: str,
    *,
    name: str,
    etag: str,
    limiter: CapacityLimiter | None = None,  # of threads, where it takes much memory
) -> Response:
    """The file of that name, made in a thread unless the client has it; `make` may block."""
    if unchanged := not_modified(request, etag):
        return unchanged
    content = await to_thread.run_sync(make, limiter=limiter)
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={FRESH_S}, immutable",
        "Content-Disposition": f'inline; filename="{name}"',
        "Vary": "Accept",
    }
    return Response(content, headers=headers, media_type=media_type)
