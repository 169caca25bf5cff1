"""The application: everything put together, nothing at module level."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic import Field
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from service.api import (
    attributions,
    batch_results,
    batches,
    errors,
    events,
    explanations,
    faithfulness,
    figures,
    health,
    heatmaps,
    models,
    openapi,
    scrape,
    validation,
)
from service.api.middleware import Access, HeadAsGet
from service.api.services import open_services
from service.api.version import version
from service.contract.schema import Response
from service.contract.settings import Settings

COMPRESSED_ALREADY = ("application/x-npz", "application/x-npy")

root = APIRouter(tags=["health"])


class Welcome(Response):
    """What this is, and where to begin."""

    name: str
    version: str
    description: str
    links: dict[str, str] = Field(examples=[{"docs": "/docs", "models": "/v1/models"}])


@root.get("/")
async def get_welcome() -> Welcome:
    """Say what this is, and where to begin."""
    return Welcome(
        name="Shapshot",
        version=version(),
        description="Explains image classifiers: POST a picture to /v1/explanations.",
        links={
            "docs": "/docs",
            "openapi": "/openapi.json",
            "explanations": "/v1/explanations",
            "models": "/v1/models",
            "methods": "/v1/methods",
            "ready": "/healthz/ready",
        },
    )


def create_app(settings: Settings) -> FastAPI:
    """The API with these settings; it connects when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPIOffline(  # /docs loads nothing from a CDN
        title="Shapshot",
        version=version(),
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    results = (attributions, heatmaps, figures, faithfulness, batch_results)
    for module in (explanations, events, batches, *results, models, health, scrape):
        app.include_router(module.router)
    app.include_router(root)
    openapi.install(app)
    errors.install(app)
    validation.install(app)
    _wrap(app)
    return app


def _wrap(app: FastAPI) -> None:
    """From the inside out."""
    unzipped = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *COMPRESSED_ALREADY)
    app.add_middleware(
        GZipMiddleware, minimum_size=1024, compresslevel=1, exclude_content_types=unzipped
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(Access)


def _operation_id(route: APIRoute) -> str:
    return route.name
