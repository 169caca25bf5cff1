"""The root: names the service and links to its start points."""

from fastapi import APIRouter, Request
from pydantic import Field

from service.api.version import version
from service.schemas.base import ResponseModel

router = APIRouter(tags=["health"])

_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "explanations": "/v1/explanations",
    "models": "/v1/models",
    "methods": "/v1/methods",
    "ready": "/healthz/ready",
}


class Welcome(ResponseModel):
    """What this is, and where to begin."""

    name: str
    version: str
    description: str
    links: dict[str, str] = Field(examples=[{"docs": "/docs", "models": "/v1/models"}])


@router.get("/")
async def get_welcome(request: Request) -> Welcome:
    """Say what this is, and where to begin."""
    return Welcome(
        name="Shapshot",
        version=version(),
        description="Explains image classifiers: POST a picture to /v1/explanations.",
        links={name: request.scope["root_path"] + path for name, path in _LINKS.items()},
    )
