"""Liveness and readiness probes."""

from typing import Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field

from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError, retry_after
from service.api.http.store_mismatch import mismatch_problem
from service.api.services import ProcessServices, ProcessServicesDep
from service.api.submission.resolve_settings import LOADING_RETRY_S, no_worker_problem
from service.jobs.store_identity import StoreMatch
from service.jobs.worker_registry import read_live_workers
from service.schemas.base import ResponseModel
from service.schemas.documents import ErrorCode
from service.schemas.models import ModelStatus

router = APIRouter(prefix="/healthz", tags=["health"])


class Liveness(ResponseModel):
    """The process answers."""

    status: Literal["live"]


class Readiness(ResponseModel):
    """Redis and the store answer and belong together, and a worker serves a model."""

    status: Literal["ready"]
    workers: int = Field(description="Workers alive")
    models: list[str] = Field(description="Models available")


@router.get("/live")
async def check_live() -> Liveness:
    """Answer as long as the process does."""
    return Liveness(status="live")


@router.get(
    "/ready",
    responses=problems(
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.DATA_LOST,
        ErrorCode.NO_WORKER,
        ErrorCode.MODEL_UNAVAILABLE,
        guarded=False,
    ),
)
async def check_ready(services: ProcessServicesDep) -> Readiness:
    """Answer 200 if a picture sent now would be explained, else the first reason why not."""
    return await to_thread.run_sync(_readiness, services)


def _readiness(services: ProcessServices) -> Readiness:
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
        detail = f"no model is available ({'; '.join(reasons) or 'none is known'})"
        raise ApiError(ErrorCode.MODEL_UNAVAILABLE, detail, headers=retry_after(LOADING_RETRY_S))
    return Readiness(status="ready", workers=len(present.workers), models=available)
