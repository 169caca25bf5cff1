"""The models and methods that are available."""

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError
from service.api.services import ProcessServices, RequestServicesDep
from service.api.submission.methods import method_cards
from service.jobs.worker_registry import read_live_workers
from service.schemas.documents import ErrorCode
from service.schemas.models import MethodList, ModelCard, ModelList, ModelSummary

router = APIRouter(prefix="/v1", tags=["models and methods"])


@router.get("/models", responses=problems())
async def list_models(services: RequestServicesDep) -> ModelList:
    """List the models, the default first; a model that no live worker serves is unavailable."""
    present = await to_thread.run_sync(read_live_workers, services.process.redis)
    return ModelList(items=[_summary(card) for card in present.cards])


def _summary(card: ModelCard) -> ModelSummary:
    return ModelSummary.model_validate(card.model_dump(exclude={"labels"}))


@router.get("/models/{name}", response_model=ModelCard, responses=problems(ErrorCode.NOT_FOUND))
async def get_model(services: RequestServicesDep, name: str) -> Response:
    """The whole card of a model: all of the summary, and the label of every output."""
    content = await to_thread.run_sync(
        _card, services.process, name
    )  # thousands of labels are possible
    return Response(content, media_type="application/json")


def _card(services: ProcessServices, name: str) -> str:
    """Raises ApiError."""
    present = read_live_workers(services.redis)
    for card in present.cards:
        if card.name == name:
            return card.model_dump_json()
    names = [card.name for card in present.cards]
    raise ApiError(ErrorCode.NOT_FOUND, "there is no such model", "name", name, names)


@router.get("/methods", responses=problems())
async def list_methods() -> MethodList:
    """List the methods, each with the JSON Schema of the settings it takes."""
    return MethodList(items=method_cards())
