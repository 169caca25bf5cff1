"""Reviews of an explanation by people, each signed in the chain of records."""

from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.evidence.sealer import NoEvidenceError, TooManyReviewsError
from service.api.http.openapi_responses import IDEMPOTENCY_KEY, problems
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.records import NO_KEY, sealed_state
from service.api.services import ProcessServices, RequestServicesDep
from service.api.submission import small_document
from service.api.submission.idempotency import idempotent_request, make_once
from service.api.submission.small_document import read_document
from service.api.uploads.upload import JSON
from service.infra.artifact_store import review_key
from service.infra.artifacts import read_whole
from service.jobs.claims import IdempotentRequest
from service.jobs.records import State
from service.jobs.sealing import RecordChain
from service.schemas.documents import ErrorCode
from service.schemas.reviews import MAX_REVIEWS, ReviewDocument, ReviewList, ReviewRequest

router = APIRouter(prefix="/v1/explanations", tags=["evidence"])
reviewers_router = APIRouter(prefix="/v1/explanations", tags=["evidence"])  # auditors too
_EXAMPLE = {"verdict": "override", "label": "tiger cat", "comment": "The stripes are real"}


@reviewers_router.post(
    "/{explanation_id}/reviews",
    status_code=201,
    response_model=ReviewDocument,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/ReviewRequest"},
                    "example": _EXAMPLE,
                }
            },
        },
        "parameters": [IDEMPOTENCY_KEY],
    },
    responses=problems(
        *small_document.PROBLEMS,
        ErrorCode.NO_RESULT,
        ErrorCode.NOT_FINISHED,
        ErrorCode.IDEMPOTENCY_MISMATCH,
        ErrorCode.STORE_UNAVAILABLE,
    ),
)
async def review_explanation(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Review an explanation: accept it, reject it, or name the label that is right.

    The review is signed and follows the record in the chain; it cannot be changed or taken back,
    only followed by another. The last one counts. Whoever may change the explanation may review it,
    and so may keys of scope auditor.
    """
    process, caller = services.process, services.caller
    state = await services.repository.read(explanation_id)
    artifacts.outcome_of(state)
    asked = await read_document(request, process, ReviewRequest)
    reviewer = asked.reviewer or caller.name
    if reviewer is None:
        detail = "reviewer: this server has no keys that name the reviewer, so give a name"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "reviewer")
    key = idempotent_request(request, services, "review", state.id, asked)

    async def sign(key: IdempotentRequest | None) -> str:
        signing = partial(_review, process, state, asked, reviewer, caller.name, key)
        return str((await to_thread.run_sync(signing)).number)

    async def find(number: str) -> ReviewDocument | None:
        found = await to_thread.run_sync(RecordChain(process.redis).reviews, state.id)
        return next((each.review for each in found if str(each.review.number) == number), None)

    document = await make_once(services, key, sign, find)
    return Response(document.model_dump_json(), 201, media_type=JSON)


@router.get(
    "/{explanation_id}/reviews",
    response_model=ReviewList,
    responses=problems(ErrorCode.NOT_FOUND, ErrorCode.GONE),
)
async def list_reviews(services: RequestServicesDep, explanation_id: str) -> ReviewList:
    """List the reviews of an explanation, the first one first; the last one counts."""
    state = await services.repository.read(explanation_id)
    found = await to_thread.run_sync(RecordChain(services.process.redis).reviews, state.id)
    return ReviewList(items=[each.review for each in found])


def load_reviews(services: ProcessServices, state: State) -> dict[str, bytes]:
    """Reads the envelopes of all reviews, by their names in bundles. Blocking.

    Raises ApiError, StoreError.
    """
    found = {}
    for each in RecordChain(services.redis).reviews(state.id):
        key = review_key(state.id, each.envelope.sha256)
        with artifacts.reading(services, state, "review"):
            content = read_whole(services.store, key, each.envelope)
        found[f"reviews/{each.review.number:04}.dsse.json"] = content
    return found


def _review(
    services: ProcessServices,
    state: State,
    asked: ReviewRequest,
    reviewer: str,
    key: str | None,
    request: IdempotentRequest | None,
) -> ReviewDocument:
    """Seals a review. Blocking. Raises ApiError, StoreError, AlreadyClaimedError."""
    sealed = sealed_state(services, state)
    if services.sealer is None:
        raise ApiError(ErrorCode.NO_RESULT, NO_KEY, "SHAPSHOT_SIGNING_KEY_FILE")
    try:
        document = services.sealer.review(sealed, asked, reviewer, key, request)
    except TooManyReviewsError as error:
        detail = f"the explanation has {MAX_REVIEWS} reviews, which is the most"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "id", state.id) from error
    except NoEvidenceError as error:
        raise ApiError(ErrorCode.NO_RESULT, str(error), "id", state.id) from error
    if document is None:
        raise ApiError(ErrorCode.NO_RESULT, "the explanation was deleted meanwhile", "id", state.id)
    return document
