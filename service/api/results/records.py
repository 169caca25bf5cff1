"""The signed record of an explanation, and the keys that verify it."""

from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.evidence.sealer import NoEvidenceError
from service.api.http.openapi_responses import IF_NONE_MATCH, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.services import ProcessServices, ProcessServicesDep, RequestServicesDep
from service.evidence.keys import PublicKeys
from service.infra.artifact_store import (
    record_key,
)
from service.infra.artifacts import read_whole
from service.jobs.hash_reader import read_state
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.record import Envelope

NO_KEY = "this server has no signing key, so it keeps no records"
DSSE = "application/vnd.in-toto+dsse"
router = APIRouter(prefix="/v1/explanations", tags=["evidence"])
keys_router = APIRouter(tags=["evidence"])


@router.get(
    "/{explanation_id}/record",
    response_model=Envelope,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(),
)
async def get_record(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get the signed record: an in-toto statement in a DSSE envelope.

    It holds the request with all its settings, the model's fingerprint, the result, and every
    coalition with its scores, from which the values can be computed again without the model.
    """
    state = await services.repository.read(explanation_id)
    artifacts.outcome_of(state)
    sealed = await to_thread.run_sync(sealed_state, services.process, state)
    if sealed.record is None:
        raise ApiError(ErrorCode.NO_RESULT, "the explanation was deleted meanwhile", "id", state.id)
    return await artifacts.respond(
        request,
        partial(load_record, services.process, sealed),
        DSSE,
        name=f"{state.id}-record.json",
        etag=f'"{sealed.record.envelope.sha256}"',
        heavy=services.process.heavy_calls,
        held=4 * sealed.record.envelope.size,
    )


@keys_router.get("/.well-known/jwks.json")
async def get_signing_keys(services: ProcessServicesDep) -> PublicKeys:
    """Get the public keys that verify records, as a JSON Web Key Set (RFC 7517).

    The first signs now; those after it are retired.
    """
    return services.public_keys


def sealed_state(services: ProcessServices, state: State) -> State:
    """Returns the state with its record; seals it if it has none yet. Blocking. Raises ApiError."""
    if state.record:
        return state
    if services.sealer is None:
        raise ApiError(ErrorCode.NO_RESULT, NO_KEY, "SHAPSHOT_SIGNING_KEY_FILE")
    try:
        services.sealer.seal(state)
    except NoEvidenceError as error:
        detail = f"the explanation has no record: {error}"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id) from error
    return read_state(services.redis, state.id) or state


def load_record(services: ProcessServices, state: State) -> bytes:
    """Reads the envelope. Blocking. Raises ApiError, StoreError."""
    if state.record is None:
        raise ApiError(ErrorCode.NO_RESULT, "the explanation has no record", "id", state.id)
    recorded = state.record.envelope
    with artifacts.reading(services, state, "record"):
        return read_whole(services.store, record_key(state.id, recorded.sha256), recorded)
