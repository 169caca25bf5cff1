"""Reads a small JSON document from a request's body."""

import json
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.http import offload
from service.api.http.problems import ApiError
from service.api.http.validation import validation_problem
from service.api.services import ProcessServices
from service.api.uploads import strict_json
from service.api.uploads.body import read_body
from service.api.uploads.upload import JSON
from service.schemas.documents import ErrorCode

MAX_BYTES = 65_536
PROBLEMS = (
    ErrorCode.CROSS_SITE,
    ErrorCode.NOT_FOUND,
    ErrorCode.GONE,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.BUSY,
    ErrorCode.INVALID_PARAMETER,
)
T = TypeVar("T", bound=BaseModel)


async def read_document(request: Request, services: ProcessServices, schema: type[T]) -> T:
    """Reads the body as a document of this schema.

    Raises ApiError bad_request, unsupported_media_type, too_large, request_timeout, busy,
    invalid_parameter.
    """
    received = request.headers.get("content-type", "")
    if received.partition(";")[0].strip().lower() != JSON:
        detail = f"Content-Type must be {JSON}"
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        raise ApiError(code, detail, "Content-Type", received or None, [JSON])
    with services.upload_memory.reserve() as reserve:
        size, parts = 0, []
        async for chunk in read_body(request, services.settings, reserve):
            size += len(chunk)
            if size > MAX_BYTES:
                detail = f"the document is larger than {MAX_BYTES} bytes"
                accepted = {"maximum": MAX_BYTES}
                raise ApiError(ErrorCode.TOO_LARGE, detail, "body", None, accepted)
            parts.append(chunk)
        return await offload.run(lambda: _validated(b"".join(parts), schema), size)


def _validated(content: bytes, schema: type[T]) -> T:
    document = strict_json.loads(content, what="body")
    try:
        return schema.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise validation_problem(error, schema, code=ErrorCode.INVALID_PARAMETER) from error
