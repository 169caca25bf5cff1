"""`/metrics` for Prometheus: metrics of this process and of Redis."""

from anyio import to_thread
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from service.api.http.openapi_responses import problems
from service.api.services import ProcessServicesDep

router = APIRouter(tags=["health"])
_TEXT = {
    "description": "In the text format of Prometheus",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


@router.get("/metrics", response_class=Response, responses={200: _TEXT, **problems()})
async def get_metrics(services: ProcessServicesDep) -> Response:
    """Tell what was done and is under way."""
    text = await to_thread.run_sync(generate_latest, services.metrics.registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})
