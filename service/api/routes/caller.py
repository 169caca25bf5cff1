"""The caller itself: the name of its key, and what it may do."""

from fastapi import APIRouter
from starlette.responses import Response

from service.api.http.openapi_responses import problems
from service.api.services import RequestServicesDep
from service.schemas.caller import Caller

router = APIRouter(prefix="/v1/caller", tags=["health"])


@router.get("", responses=problems())
async def get_caller(services: RequestServicesDep, response: Response) -> Caller:
    """Name the key of this request and its scopes; a server without keys permits everything."""
    response.headers["Cache-Control"] = "no-store"
    name, scopes = services.caller.name, services.caller.scopes
    return Caller(name=name, scopes=[scope.value for scope in sorted(scopes)])
