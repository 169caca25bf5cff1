"""The application: everything put together, nothing at module level."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from service.api import description
from service.api.edge.answers import InPieces
from service.api.edge.heads import SoundHeads
from service.api.edge.hosts import KnownHosts
from service.api.edge.keyring import Keyring
from service.api.edge.middleware import QUIET, Access, HeadAsGet
from service.api.edge.origins import OwnPages
from service.api.edge.proxy import BehindProxy
from service.api.edge.safe_headers import SafeHeaders
from service.api.edge.security import ADMINS_ONLY, GUARDED
from service.api.endpoints import (
    batches,
    docs,
    events,
    explanations,
    health,
    models,
    scrape,
    welcome,
)
from service.api.protocol import errors, parameters
from service.api.results import (
    attributions,
    batch_results,
    faithfulness,
    figures,
    heatmaps,
    regions,
)
from service.api.services import open_services
from service.api.version import version
from service.contract.settings import Settings
from service.contract.traces import Traces

# The headers that pages of other origins may send and read, where any may
UNDERSTOOD = (
    *("Authorization", "X-API-Key", "Content-Type", "Prefer", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "X-Request-ID", "Cache-Control"),
)
TOLD = (
    *("ETag", "Location", "Retry-After", "Preference-Applied", "X-Request-ID"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "WWW-Authenticate"),
)
COMPRESSED_ALREADY = ("application/x-npz", "application/x-npy")


def create_app(settings: Settings, traces: Traces | None = None) -> FastAPI:
    """The API with these settings; it connects when it is started. Raises KeysError."""
    keyring = Keyring(settings.keys_file) if settings.keys_file else None
    traces = traces or Traces()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, keyring, traces) as services:
            app.state.services = services
            yield

    app = FastAPIOffline(  # brings the scripts of /docs; nothing is loaded from a CDN
        docs_url=None,
        redoc_url=None,
        title="Shapshot",
        version=version(),
        description=description.TEXT,
        lifespan=lifespan,
        openapi_tags=description.TAGS,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
        telemetry=_telemetry(traces, settings.root_path),
    )
    results = (attributions, regions, heatmaps, figures, faithfulness, batch_results)
    for module in (explanations, events, batches, *results, models):
        app.include_router(module.router, dependencies=GUARDED)
    app.include_router(scrape.router, dependencies=ADMINS_ONLY)
    for module in (health, welcome, docs):  # open: they tell nothing about anybody
        app.include_router(module.router)
    description.install(app)
    errors.install(app)
    parameters.install(app)
    _wrap(app, settings)
    return app


def _telemetry(traces: Traces, root_path: str) -> TelemetryConfig:
    """FastAPI's own spans of requests, into our traces; nothing else of what it could tell."""
    return {
        "tracing": traces.provider is not None,
        "tracer_provider": traces.provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope["path"].removeprefix(root_path).startswith(QUIET),
    }


def _wrap(app: FastAPI, settings: Settings) -> None:
    """From the inside out."""
    unzipped = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *COMPRESSED_ALREADY)
    app.add_middleware(
        GZipMiddleware, minimum_size=1024, compresslevel=1, exclude_content_types=unzipped
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(InPieces)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=UNDERSTOOD,
            expose_headers=TOLD,
        )
    if settings.keys_file is None:
        app.add_middleware(OwnPages, settings=settings)
    app.add_middleware(KnownHosts, settings=settings)
    app.add_middleware(SoundHeads)
    app.add_middleware(BehindProxy, trusted=settings.trusted_proxies, root_path=settings.root_path)
    app.add_middleware(Access)
    app.add_middleware(SafeHeaders)


def _operation_id(route: APIRoute) -> str:
    return route.name
