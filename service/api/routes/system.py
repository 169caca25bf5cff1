"""The service itself: its root, its probes, and its metrics."""

from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.responses import JSONResponse, Response

from service.api.http.conditional import negotiate
from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError, retry_after
from service.api.http.store_mismatch import mismatch_problem
from service.api.routes import web
from service.api.services import ProcessServicesDep
from service.api.submission.served_models import LOADING_RETRY_S, no_worker_problem
from service.api.version import version
from service.jobs.store_identity import StoreMatch
from service.jobs.worker_registry import read_live_workers
from service.schemas.base import ResponseModel
from service.schemas.documents import ErrorCode
from service.schemas.models import ModelStatus

router = APIRouter(tags=["health"])  # open
metrics_router = APIRouter(tags=["health"])  # for admins

_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "explanations": "/v1/explanations",
    "models": "/v1/models",
    "methods": "/v1/methods",
    "ready": "/healthz/ready",
}
_PROMETHEUS = {
    "description": "The metrics in the Prometheus text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


class Welcome(ResponseModel):
    """The name of the service, its version, and where to begin."""

    name: str
    version: str
    description: str
    links: dict[str, str] = Field(examples=[{"docs": "/docs", "models": "/v1/models"}])


class Liveness(ResponseModel):
    """The process answers."""

    status: Literal["live"]


class Readiness(ResponseModel):
    """Redis and the store answer and belong together, and a worker serves a model."""

    status: Literal["ready"]
    workers: int = Field(description="Number of live workers")
    models: list[str] = Field(description="Names of the available models")


@metrics_router.get("/metrics", response_class=Response, responses={200: _PROMETHEUS, **problems()})
async def get_metrics(services: ProcessServicesDep) -> Response:
    """Get the metrics of this process and of Redis."""
    text = await to_thread.run_sync(generate_latest, services.metrics.registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/healthz/live")
async def check_live() -> Liveness:
    """Answer as long as the process runs."""
    return Liveness(status="live")


@router.get(
    "/healthz/ready",
    responses=problems(
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.DATA_LOST,
        ErrorCode.NO_WORKER,
        ErrorCode.MODEL_UNAVAILABLE,
        guarded=False,
    ),
)
def check_ready(services: ProcessServicesDep) -> Readiness:
    """Answer 200 if a picture sent now would be explained, else the first reason why not."""
    present = read_live_workers(services.redis)
    services.store.check()
    match = services.identity.look()
    if match is not StoreMatch.SAME:
        raise mismatch_problem(match)
    if not present.workers:
        raise no_worker_problem()
    cards = present.cards
    available = [card.name for card in cards if card.status is ModelStatus.AVAILABLE]
    if not available:
        reasons = [f"{card.name}: {card.reason or card.status.value}" for card in cards]
        detail = f"no model is available ({'; '.join(reasons) or 'no model is known'})"
        raise ApiError(ErrorCode.MODEL_UNAVAILABLE, detail, headers=retry_after(LOADING_RETRY_S))
    return Readiness(status="ready", workers=len(present.workers), models=available)


@router.get(
    "/",
    response_model=Welcome,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def get_welcome(request: Request) -> Response:
    """Name the service and its version, and link to where to begin; browsers get the dashboard."""
    offered = ["application/json", "text/html"]
    if negotiate(request.headers.get("accept", ""), offered) == "text/html":
        response = web.page(request)
    else:
        welcome = Welcome(
            name="Shapshot",
            version=version(),
            description="Explains image classifiers: POST a picture to /v1/explanations.",
            links={name: request.scope["root_path"] + path for name, path in _LINKS.items()},
        )
        response = JSONResponse(welcome.model_dump())
    response.headers.append("Vary", "Accept")
    return response
