"""Runs an explanation again, and compares the second run with the first."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.evidence.reproduction import Run, common_outputs, compare
from service.api.http import offload
from service.api.http.conditional import CachePolicy, document_response, preferred_wait
from service.api.http.openapi_responses import (
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
    problems,
    shows_result,
)
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.services import ProcessServices, RequestServicesDep
from service.api.state import serializers
from service.api.submission.idempotency import submit_once
from service.api.submission.submit import submit
from service.api.uploads.upload import JSON, Upload
from service.infra.artifact_store import DamagedArtifactError, evidence_key
from service.infra.artifacts import Artifact, read_whole
from service.infra.packed_arrays import unpack_transcript
from service.jobs.records import State
from service.jobs.redis_keys import new_id
from service.schemas.documents import ErrorCode, Explanation
from service.schemas.evidence import Evidence
from service.schemas.reproduction import Reproduction

EVIDENCE_GROWTH = 16  # memory of evidence that is read, as a multiple of its stored bytes
_LOCATION = {"Location": {"description": "Path of the new one", "schema": {"type": "string"}}}

router = APIRouter(prefix="/v1/explanations", tags=["evidence"])


@router.post(
    "/{explanation_id}/reproduce",
    status_code=202,
    response_model=Explanation,
    response_description="Accepted: queued or running",
    openapi_extra={"parameters": [PREFER, IDEMPOTENCY_KEY]},
    responses={
        200: {
            "model": Explanation,
            "description": "Done within the preferred wait",
            "headers": _LOCATION | ETAG | PREFERENCE_APPLIED,
        },
        202: {"headers": _LOCATION | RETRY_AFTER | ETAG | PREFERENCE_APPLIED},
        **problems(
            ErrorCode.CROSS_SITE,
            ErrorCode.NOT_FOUND,
            ErrorCode.GONE,
            ErrorCode.NOT_FINISHED,
            ErrorCode.NO_RESULT,
            ErrorCode.CANCELED,
            ErrorCode.INVALID_IMAGE,
            ErrorCode.INVALID_LABEL_MAP,
            ErrorCode.INVALID_SETTINGS,
            ErrorCode.IDEMPOTENCY_MISMATCH,
            ErrorCode.TOO_LARGE,
            ErrorCode.UNKNOWN_MODEL,
            ErrorCode.UNKNOWN_OUTPUT,
            ErrorCode.MODEL_UNAVAILABLE,
            ErrorCode.NO_WORKER,
            ErrorCode.SHARE_FULL,
            ErrorCode.QUEUE_FULL,
            ErrorCode.BUSY,
            ErrorCode.STORE_UNAVAILABLE,
        ),
    },
)
async def reproduce_explanation(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Run an explanation again on the model of today, as a new explanation.

    It has the same picture, label map and settings, and never takes an earlier result. The model
    is the one that is served under the name now. Once it is done, its `reproduction` compares the
    two. It belongs to the key that asks, so a key of the scopes auditor and explain may run
    everybody's explanations again.
    """
    original = await services.repository.read(explanation_id)  # which it leaves as it is
    _evidence_of(original)
    with services.process.upload_memory.reserve() as reserve:
        reserve(original.spec.bytes if original.spec else 0)
        upload = await to_thread.run_sync(_upload_of, services.process, original)
        key = request.headers.get("idempotency-key")
        id_ = await submit_once(services, key, upload, new_id(), submit)
    headers = {"Location": serializers.path_of(id_, services.root_path)}
    wait_s = preferred_wait(request)
    if wait_s is not None:
        await services.process.change_feed.until_done(id_, wait_s)
        headers["Preference-Applied"] = f"wait={wait_s}"
    state = await services.repository.read(id_)
    content = await offload.run(
        lambda: serializers.explanation_json(state, services.root_path), serializers.length(state)
    )
    retry_s = None if state.status.done else serializers.retry_after_s(state)
    status_code = 200 if state.status.done else 202
    response = document_response(content, serializers.etag_of(state), retry_s, status_code)
    response.headers.update(headers)
    return response


@router.get(
    "/{explanation_id}/reproduction",
    response_model=Reproduction,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(ErrorCode.CANCELED),
)
async def get_reproduction(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Compare an explanation with the one that it runs again.

    It tells which parts of the model, and which versions, differ; whether the method asked for the
    same coalitions; and by how much scores, values and curves differ, beside the tolerance.
    """
    state = await services.repository.read(explanation_id)
    reproduces = state.spec.reproduces if state.spec else None
    if reproduces is None:
        detail = "the explanation is not a second run of another; POST …/reproduce starts one"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    recorded = _evidence_of(state)
    original = await services.repository.find(reproduces)
    if original is None or original.spec is None:
        detail = (
            f"the explanation {reproduces}, which this one runs again, has expired or was deleted"
        )
        raise ApiError(ErrorCode.GONE, detail, "reproduces", reproduces)
    held = EVIDENCE_GROWTH * (recorded.size + _evidence_of(original).size)
    return await artifacts.respond(
        request,
        partial(_compared, services.process, original, state),
        JSON,
        name=f"{state.id}-reproduction.json",
        etag=artifacts.etag_of(state, ("reproduction", original.result)),
        heavy=services.process.heavy_calls,
        held=held + 6 * artifacts.OUTPUTS_BYTES,
    )


def _evidence_of(state: State) -> Artifact:
    """Returns the record of the evidence of a whole result. Raises ApiError."""
    if artifacts.outcome_of(state).partial:
        detail = "the explanation was canceled; its partial result cannot be compared with another"
        raise ApiError(ErrorCode.CANCELED, detail, "id", state.id)
    evidence = artifacts.stored_artifacts(state).evidence
    if evidence is None:
        detail = "an earlier version of Shapshot computed the result, without evidence to compare"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    return evidence


def _upload_of(services: ProcessServices, state: State) -> Upload:
    """Returns what was sent, to be submitted again. Blocking. Raises ApiError, StoreError."""
    picture, spec = artifacts.load_upload(services, state), state.spec
    if spec is None:
        raise ValueError(f"{state.id} has expired")
    label_map = None
    if spec.label_map:
        label_map = artifacts.load_label_map(services, state, spec.label_map)
    return Upload(
        images={"image": picture},
        file_names=[spec.image.name],
        settings=spec.settings,
        label_map=label_map,
        caching=CachePolicy.AVOID,
        reproduces=state.id,
    )


def _compared(services: ProcessServices, original: State, state: State) -> bytes:
    """Returns the comparison as JSON. Blocking. Raises ApiError, StoreError."""
    before, now = _run_of(services, original), _run_of(services, state)
    regions = None
    if original.outcome and original.outcome.region_count is not None:
        regions = artifacts.load_arrays(services, original, names=["regions"])["regions"]
    old_shape, new_shape = (artifacts.stored_artifacts(each).shape for each in (original, state))
    values: Iterable[tuple[Any, Any]] = ()
    if old_shape[:3] == new_shape[:3]:
        common = common_outputs(before, now)
        values = zip(
            artifacts.by_output(services, original, [i for i, _ in common], "values"),
            artifacts.by_output(services, state, [j for _, j in common], "values"),
            strict=True,
        )
    return compare(before, now, values, regions).model_dump_json().encode()


def _run_of(services: ProcessServices, state: State) -> Run:
    """Reads the evidence of a result. Blocking. Raises ApiError, StoreError."""
    key, recorded = evidence_key(state.id, str(state.result)), _evidence_of(state)
    with artifacts.reading(services, state, "evidence"):
        try:
            evidence = Evidence.model_validate_json(read_whole(services.store, key, recorded))
            rows, scores = unpack_transcript(evidence.transcript)
        except ValueError as error:  # also pydantic's
            raise DamagedArtifactError(f"{key!r} cannot be read: {error}") from error
    outcome = artifacts.outcome_of(state)
    curves = artifacts.load_curves(services, state) if outcome.metrics else []
    return Run(state.id, outcome, evidence, rows, scores, curves)
