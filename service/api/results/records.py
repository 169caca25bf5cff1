"""The signed record of an explanation, and the keys that verify it."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.evidence.sealer import NoEvidenceError
from service.api.evidence.statements import ATTRIBUTIONS, CURVES, LABEL_MAP, PICTURE
from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.services import ProcessServices, ProcessServicesDep, RequestServicesDep
from service.evidence.archives import write_archive
from service.evidence.keys import PublicKeys
from service.infra.artifact_store import (
    CHUNK,
    attributions_key,
    faithfulness_key,
    image_key,
    label_map_key,
    record_key,
)
from service.infra.artifacts import Artifact, read_in_chunks, read_whole
from service.jobs.hash_reader import read_state
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.record import Envelope

NO_KEY = "this server has no signing key, so it keeps no records"
MAX_BUNDLE_BYTES = 2**31
ZIP = "application/zip"
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


@router.get(
    "/{explanation_id}/bundle.zip",
    response_class=Response,
    responses=shows_result(content=binary(ZIP), description="The files"),
)
async def get_bundle(
    services: RequestServicesDep, request: Request, explanation_id: str
) -> Response:
    """Get the record with all that it speaks of, in one archive, to be verified offline.

    `record.json` is the signed record, `attributions.npz` the arrays, `faithfulness.json` the
    curves, `picture` and `label_map` what was sent, and `keys.json` the public keys.
    `manifest.json` is a signed list of these files. `shapshot verify` checks it all.
    """
    state = await services.repository.read(explanation_id)
    artifacts.outcome_of(state)
    sealed = await to_thread.run_sync(sealed_state, services.process, state)
    files = _files_of(sealed)
    if (size := sum(each.size for _, each in files.values())) > MAX_BUNDLE_BYTES:
        detail = f"the files have {size} bytes; a bundle may have {MAX_BUNDLE_BYTES}"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "id", size, MAX_BUNDLE_BYTES)
    return artifacts.stream(
        request,
        services.process,
        lambda: (None, _bundle(services.process, sealed, files)),
        ZIP,
        name=f"{state.id}.zip",
        etag=artifacts.etag_of(sealed, "bundle"),
        held=2 * CHUNK + 4 * (sealed.record.envelope.size if sealed.record else 0),
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


def _files_of(state: State) -> dict[str, tuple[str, Artifact]]:
    """Returns the stored files of a bundle, by name: their keys and records."""
    spec, stored, result = state.spec, artifacts.stored_artifacts(state), str(state.result)
    found = {ATTRIBUTIONS: (attributions_key(state.id, result), stored.attributions)}
    if stored.faithfulness:
        found[CURVES] = (faithfulness_key(state.id, result), stored.faithfulness)
    if spec:
        sent = Artifact(size=spec.image.bytes, sha256=spec.image.sha256)
        found[PICTURE] = (image_key(state.id), sent)
    if spec and spec.label_map:
        sent = Artifact(size=spec.label_map.bytes, sha256=spec.label_map.sha256)
        found[LABEL_MAP] = (label_map_key(state.id), sent)
    return found


def _bundle(
    services: ProcessServices, state: State, files: Mapping[str, tuple[str, Artifact]]
) -> Iterator[bytes]:
    if services.sealer is None:
        raise ApiError(ErrorCode.NO_RESULT, NO_KEY, "SHAPSHOT_SIGNING_KEY_FILE")
    small = {
        "record.json": load_record(services, state),
        "keys.json": services.public_keys.model_dump_json(exclude_none=True).encode(),
    }
    digests = {name: Artifact.of(content).sha256 for name, content in small.items()}
    digests |= {name: recorded.sha256 for name, (_, recorded) in files.items()}
    small["manifest.json"] = services.sealer.sign_bundle(state.id, digests)
    stored = (
        (name, read_in_chunks(services.store, key, recorded))
        for name, (key, recorded) in files.items()
    )
    with artifacts.reading(services, state, "result"):
        yield from write_archive(chain(((n, [c]) for n, c in small.items()), stored))
