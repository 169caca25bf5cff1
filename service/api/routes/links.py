"""Links that show results of an explanation or a batch to somebody who has no key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from pydantic import ValidationError

from service.api.auth.keys import Scope
from service.api.http import offload
from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError
from service.api.http.signed_links import PARAMETER, REPORTS, RESULTS, UPLOADS, normalized
from service.api.http.validation import validation_problem
from service.api.services import RequestServices, RequestServicesDep
from service.api.state.serializers import to_datetime
from service.api.submission import small_document
from service.api.uploads import strict_json
from service.api.uploads.body import read_body
from service.api.uploads.upload import JSON
from service.schemas.documents import ErrorCode
from service.schemas.links import LinkRequest, SignedLink

DEFAULT_LIFETIME_S = 3600
READERS_LIFETIME_S = 60  # enough to open it; such a link hardly outlives the key
PROBLEMS = problems(ErrorCode.BAD_REQUEST, *small_document.PROBLEMS)
router = APIRouter(prefix="/v1", tags=["results"])


def _body(example: Mapping[str, object]) -> dict[str, Any]:
    """Describes the body, which the routes read themselves."""
    schema = {"$ref": "#/components/schemas/LinkRequest"}
    return {"requestBody": {"content": {JSON: {"schema": schema, "example": example}}}}


@router.post(
    "/explanations/{explanation_id}/links",
    openapi_extra=_body({"path": "heatmap.png?style=overlay", "lifetime_s": 86400}),
    responses=PROBLEMS,
)
async def create_link(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> SignedLink:
    """Sign a link that shows a result, or all results, to whoever has it, such as in an `<img>`.

    It needs no key, permits GET and HEAD only, and ends when it expires, when the explanation is
    deleted, or when the signing key is replaced. Deleting an API key does not end it, so a key that
    may only read the explanation makes links of one path and at most 60 seconds, to open it.
    """
    state = await services.repository.read(explanation_id)
    address = f"v1/explanations/{explanation_id}"
    linked = _Linked("explanation", state.id, state.owner, address, (*RESULTS, *UPLOADS))
    return await _sign(request, services, linked)


@router.post(
    "/batches/{batch_id}/links",
    openapi_extra=_body({"path": "report.html", "lifetime_s": 86400}),
    responses=PROBLEMS,
)
async def create_batch_link(
    request: Request, services: RequestServicesDep, batch_id: str
) -> SignedLink:
    """Sign a link that shows the report of a batch, as page or PDF, to whoever has it.

    It is made, permits and ends as a link to an explanation; deleting the batch ends it.
    """
    batch = (await services.repository.batch(batch_id)).batch
    linked = _Linked("batch", batch.id, batch.owner, f"v1/batches/{batch_id}", REPORTS)
    return await _sign(request, services, linked)


@dataclass(frozen=True)
class _Linked:
    """What a link is to lead to."""

    kind: Literal["explanation", "batch"]
    id: str
    owner: str | None
    address: str  # below the base of the API
    paths: tuple[str, ...]  # below the address, to which links may lead


async def _sign(request: Request, services: RequestServices, linked: _Linked) -> SignedLink:
    """Signs the link that the body asks for. Raises ApiError."""
    process, caller = services.process, services.caller
    with process.upload_memory.reserve() as reserve:
        body = read_body(request, process.settings, reserve)
        content = b"".join([chunk async for chunk in body])
        wanted = await offload.run(lambda: _validated(content), len(content))
    most = process.settings.max_link_s
    opens_it = wanted.path is not None and (wanted.lifetime_s or most) <= READERS_LIFETIME_S
    if not (opens_it or (caller.may(Scope.EXPLAIN) and caller.may_change(linked.owner))):
        needed = Scope.ADMIN if caller.may(Scope.EXPLAIN) else Scope.EXPLAIN
        detail = (
            f"a key that may only read this {linked.kind} makes links of one path and a lifetime_s "
            f"of at most {READERS_LIFETIME_S}; others need a key of scope {needed}"
        )
        raise ApiError(ErrorCode.FORBIDDEN, detail, None, sorted(caller.scopes), [needed])
    lifetime_s = min(DEFAULT_LIFETIME_S, most) if wanted.lifetime_s is None else wanted.lifetime_s
    if lifetime_s > most:
        detail = f"lifetime_s: a link may last at most {most} seconds"
        bounds = {"minimum": 1, "maximum": most}
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "lifetime_s", lifetime_s, bounds)
    path = None if wanted.path is None else _checked_path(wanted.path, linked.paths)
    token, expires_at = await process.guard.links.sign(linked.id, path, lifetime_s)
    url = None
    if path is not None:
        joint = "&" if "?" in path else "?"
        url = f"{request.base_url}{linked.address}/{path}{joint}{PARAMETER}={token}"
    return SignedLink(url=url, token=token, expires_at=to_datetime(expires_at))


def _validated(content: bytes) -> LinkRequest:
    try:
        document = strict_json.loads(content, what="body") if content else {}
        return LinkRequest.model_validate(document, strict=True)
    except ValidationError as error:
        code = ErrorCode.INVALID_PARAMETER
        raise validation_problem(error, LinkRequest, code=code) from error


def _checked_path(path: str, paths: Iterable[str]) -> str:
    """Returns the path with its query as a link is compared. Raises ApiError."""
    name, _, query = path.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    linkable = sorted(paths)
    if name not in linkable or any(key == PARAMETER for key, _ in pairs):
        detail = f"path: a link leads to one of {', '.join(linkable)}, with a query of its own"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "path", path, linkable)
    return normalized(name, pairs)
