"""The models and methods that are available."""

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from service.api.http.openapi_responses import problems
from service.api.http.problems import ApiError
from service.api.services import RequestServicesDep
from service.api.submission.methods import method_cards
from service.jobs.worker_registry import read_live_workers
from service.schemas.documents import ErrorCode
from service.schemas.models import MethodList, ModelCard, ModelList, ModelSummary

router = APIRouter(prefix="/v1", tags=["models and methods"])


@router.get("/models", responses=problems())
async def list_models(services: RequestServicesDep) -> ModelList:
    """List the models, the default first; a model that no live worker serves is unavailable."""
    present = await to_thread.run_sync(read_live_workers, services.process.redis)
    return ModelList(
        items=[
            ModelSummary.model_validate(card.model_dump(exclude={"labels"}))
            for card in present.cards
        ]
    )


@router.get("/models/{name}", response_model=ModelCard, responses=problems(ErrorCode.NOT_FOUND))
def get_model(services: RequestServicesDep, name: str) -> Response:
    """Get the whole card of a model: its summary, and the label of every output."""
    present = read_live_workers(services.process.redis)
    for card in present.cards:
        if card.name == name:  # it may have thousands of labels
            return Response(card.model_dump_json(), media_type="application/json")
    names = [card.name for card in present.cards]
    raise ApiError(ErrorCode.NOT_FOUND, "there is no such model", "name", name, names)


@router.get("/methods", responses=problems())
async def list_methods() -> MethodList:
    """List the methods, each with the JSON Schema of the settings it takes."""
    return MethodList(items=method_cards())
