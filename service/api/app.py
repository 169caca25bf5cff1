"""Assembles the application from routers, middleware and services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from service.api import description
from service.api.evidence.audited_requests import AuditedRequests
from service.api.facades import routes as facades
from service.api.facades.error_forms import ErrorForms
from service.api.http import exception_handlers
from service.api.http.access_log import QUIET_PATHS, AccessLog, HeadAsGet
from service.api.http.allowed_hosts import AllowedHosts
from service.api.http.header_limits import HeaderLimits
from service.api.http.problems import PROBLEM
from service.api.http.proxy_headers import ProxyHeaders
from service.api.http.same_origin import SameOriginOnly
from service.api.http.security_headers import SecurityHeaders
from service.api.http.send_in_pieces import SendInPieces
from service.api.http.signed_links import SignedLinks
from service.api.results import (
    attributions,
    batch_results,
    bundle,
    cohort_reports,
    faithfulness,
    figures,
    heatmaps,
    previews,
    records,
    regions,
    report,
    report_pdf,
    reproductions,
    reviews,
    scores,
    sent_files,
)
from service.api.routes import (
    audit,
    batches,
    caller,
    catalog,
    chain,
    docs,
    events,
    explanations,
    holds,
    links,
    system,
    web,
    webhook_deliveries,
    webhooks,
)
from service.api.services import ProcessServices
from service.api.version import version

# Headers that pages of allowed origins may send and read
CORS_REQUEST_HEADERS = (
    *("Authorization", "X-API-Key", "Content-Type", "Prefer", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "X-Request-ID", "Cache-Control"),
)
CORS_EXPOSED_HEADERS = (
    *("ETag", "Location", "Retry-After", "Preference-Applied", "X-Request-ID"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "WWW-Authenticate"),
)
UNCOMPRESSED = (  # compressed already, sent as they came under a strong ETag, or short
    *("application/x-npz", "application/x-npy"),
    PROBLEM,  # ErrorForms rewrites it
    *(kind.media_type for kind in sent_files.PICTURES.values()),
)


def create_app(services: ProcessServices) -> FastAPI:
    """Returns the API; it runs the services during its lifespan."""
    settings = services.settings

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with services.running():
            yield

    tracer = services.tracer
    telemetry: TelemetryConfig = {  # request spans only
        "tracing": tracer.provider is not None,
        "tracer_provider": tracer.provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: (
            scope["path"].removeprefix(settings.root_path).startswith(QUIET_PATHS)
        ),
    }
    app = FastAPIOffline(  # serves the scripts of /docs itself, without a CDN
        docs_url=None,
        redoc_url=None,
        title="Shapshot",
        version=version(),
        description=description.TEXT,
        lifespan=lifespan,
        openapi_tags=description.TAGS,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        telemetry=telemetry,
    )
    app.state.services = services  # read only by the dependencies in services.py
    results = (attributions, regions, scores, heatmaps, figures, faithfulness, batch_results)
    documents = (explanations, events, previews, batches)
    evidence = (records, bundle, report, report_pdf, cohort_reports, reproductions, reviews)
    others = (sent_files, holds, caller, catalog, facades, webhooks, webhook_deliveries)
    for module in (*documents, *results, *evidence, *others):
        app.include_router(module.router, dependencies=[Depends(services.guard.admit)])
    for router in (reviews.reviewers_router, holds.keepers_router):
        app.include_router(router, dependencies=[Depends(services.guard.admit_keeper)])
    app.include_router(links.router, dependencies=[Depends(services.guard.admit_reader)])
    for router in (system.metrics_router, audit.auditors_router, chain.auditors_router):
        app.include_router(router, dependencies=[Depends(services.guard.admit_auditor)])
    app.include_router(records.keys_router)
    for module in (system, web, docs):  # open: they show no caller's data
        app.include_router(module.router)
    description.install(app)
    exception_handlers.install(app)
    _add_middleware(app, services)
    return app


def _add_middleware(app: FastAPI, services: ProcessServices) -> None:
    """Adds the middleware, innermost first."""
    settings = services.settings
    unzipped = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *UNCOMPRESSED)
    app.add_middleware(
        GZipMiddleware, minimum_size=1024, compresslevel=1, exclude_content_types=unzipped
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(SendInPieces, budget=services.response_memory)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_EXPOSED_HEADERS,
        )
    if settings.keys_file is None:
        app.add_middleware(SameOriginOnly, settings=settings)
    app.add_middleware(AllowedHosts, settings=settings)
    app.add_middleware(HeaderLimits)
    app.add_middleware(SignedLinks)
    app.add_middleware(ProxyHeaders, trusted=settings.trusted_proxies, root_path=settings.root_path)
    if settings.audit != "off":
        app.add_middleware(AuditedRequests, trail=services.audit_trail, settings=settings)
    app.add_middleware(AccessLog, metrics=services.metrics)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(ErrorForms)
