"""The bundle of an explanation: its record, and all files that belong to it, in one archive."""

from collections.abc import Iterator, Mapping
from itertools import chain

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.evidence.statements import ATTRIBUTIONS, CURVES, LABEL_MAP, PICTURE, TIMESTAMP
from service.api.http.openapi_responses import binary, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.heatmaps import HeatmapQuery, draw_explanation
from service.api.results.records import NO_KEY, load_record, sealed_state
from service.api.results.regions import as_csv, read_regions
from service.api.results.report import write_report
from service.api.results.report_response import report_memory_bytes, shown_outputs
from service.api.results.reviews import load_reviews
from service.api.services import ProcessServices, RequestServicesDep
from service.evidence.archives import write_archive
from service.infra.artifact_store import (
    CHUNK,
    attributions_key,
    faithfulness_key,
    image_key,
    label_map_key,
    timestamp_key,
)
from service.infra.artifacts import Artifact, read_in_chunks
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.regions import MAX_ROWS

ZIP = "application/zip"
MAX_BUNDLE_BYTES = 2**31
REVIEW_BYTES = 20_000  # of an envelope with the longest comment, and its copy
router = APIRouter(prefix="/v1/explanations", tags=["evidence"])


@router.get(
    "/{explanation_id}/bundle.zip",
    response_class=Response,
    responses=shows_result(ErrorCode.NOT_ACCEPTABLE, content=binary(ZIP), description="The files"),
)
async def get_bundle(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get the record with all that it speaks of, in one archive, to be verified offline.

    `record.json` is the signed record, `attributions.npz` the arrays, `faithfulness.json` the
    curves, `picture` and `label_map` what was sent, `reviews/0001.dsse.json` and so on the signed
    reviews, and `keys.json` the public keys. For people there are `report.html`, `figure.png` and
    `regions.csv`. `manifest.json` is a signed list of these files. `shapshot verify` checks it all.
    """
    state = await services.repository.read(explanation_id)
    artifacts.outcome_of(state)
    sealed = await to_thread.run_sync(sealed_state, services.process, state)
    files = _files_of(sealed)
    if (size := sum(each.size for _, each in files.values())) > MAX_BUNDLE_BYTES:
        detail = f"the files have {size} bytes; a bundle may have {MAX_BUNDLE_BYTES}"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "id", size, MAX_BUNDLE_BYTES)
    record = sealed.record.envelope.size if sealed.record else 0
    reviews = sealed.review.count if sealed.review else 0
    response = artifacts.stream(
        request,
        services.process,
        lambda: (None, _bundle(services.process, sealed, files)),
        ZIP,
        name=f"{state.id}.zip",
        etag=artifacts.etag_of(sealed, ("bundle", sealed.review, sealed.record)),
        held=2 * CHUNK + 4 * record + REVIEW_BYTES * reviews + report_memory_bytes(sealed),
    )
    response.headers["Cache-Control"] = artifacts.REVIEWED
    return response


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
    if state.record and state.record.timestamp:
        response = state.record.timestamp.response
        found[TIMESTAMP] = (timestamp_key(state.id, response.sha256), response)
    return found


def _bundle(
    services: ProcessServices, state: State, files: Mapping[str, tuple[str, Artifact]]
) -> Iterator[bytes]:
    """Yields the archive. Blocking. Raises ApiError, StoreError."""
    if services.sealer is None:
        raise ApiError(ErrorCode.NO_RESULT, NO_KEY, "SHAPSHOT_SIGNING_KEY_FILE")
    outcome = artifacts.outcome_of(state)
    small = {
        "record.json": load_record(services, state),
        "keys.json": services.public_keys.model_dump_json(exclude_none=True).encode(),
        "report.html": write_report(services, state),
        "figure.png": draw_explanation(
            services, state, shown_outputs(outcome), HeatmapQuery(), "png"
        ),
    }
    every = range(len(outcome.outputs))
    if outcome.region_count is not None and outcome.region_count * len(every) <= MAX_ROWS:
        small["regions.csv"] = as_csv(read_regions(services, state, outcome, every))
    small |= load_reviews(services, state)
    digests = {name: Artifact.of(content).sha256 for name, content in small.items()}
    digests |= {name: recorded.sha256 for name, (_, recorded) in files.items()}
    small["manifest.json"] = services.sealer.sign_bundle(state.id, digests)
    stored = (
        (name, read_in_chunks(services.store, key, recorded))
        for name, (key, recorded) in files.items()
    )
    with artifacts.reading(services, state, "result"):
        yield from write_archive(chain(((n, [c]) for n, c in small.items()), stored))
