"""Converts exceptions of endpoints to problems; `access_log.py` handles unexpected ones."""

import redis
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.http.allowed_methods import options_or_not_allowed
from service.api.http.problems import ApiError, problem_response, retry_after, shorten
from service.api.http.query_parameters import parameter_problem
from service.api.http.statuses import CODE_OF_STATUS
from service.infra.artifact_store import StoreError
from service.jobs.redis_errors import outage_reason
from service.schemas.documents import ErrorCode

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Registers the handlers."""

    @app.exception_handler(ApiError)
    async def on_api_error(_request: Request, error: ApiError) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid_parameter(request: Request, error: RequestValidationError) -> Response:
        return problem_response(parameter_problem(request, error.errors()))

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            return options_or_not_allowed(request)
        code = CODE_OF_STATUS.get(error.status_code, ErrorCode.BAD_REQUEST)
        detail = error.detail
        if code is ErrorCode.NOT_FOUND:
            detail = f"nothing is served at {shorten(request.url.path)}"
        return problem_response(ApiError(code, detail, headers=dict(error.headers or {})))

    @app.exception_handler(redis.RedisError)
    async def on_redis_error(_request: Request, error: redis.RedisError) -> Response:
        log.error("Redis failed", reason=f"{type(error).__name__}: {error}")
        reason = outage_reason(error)
        detail = f"{reason}; try again later" if reason else "Redis rejected the command"
        code = ErrorCode.REDIS_UNAVAILABLE
        return problem_response(ApiError(code, detail, headers=retry_after()))

    @app.exception_handler(StoreError)
    async def on_store_error(_request: Request, error: StoreError) -> Response:
        log.error("the store failed", reason=str(error), cause=error.cause)
        detail = "the store of pictures and arrays failed; try again later"
        code = ErrorCode.STORE_UNAVAILABLE
        return problem_response(ApiError(code, detail, headers=retry_after()))
