"""Reads a small JSON document as the body of a request."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.http import offload
from service.api.http.memory_budget import MemoryBudget
from service.api.http.validation import validation_problem
from service.api.uploads import strict_json
from service.api.uploads.body import read_body
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode

Document = TypeVar("Document", bound=BaseModel)


async def read_json(
    request: Request, settings: ApiSettings, memory: MemoryBudget, kind: type[Document]
) -> Document:
    """Returns the document; an empty body reads as {}. Raises ApiError."""

    def validated() -> Document:
        document: Any = strict_json.loads(content, what="body") if content else {}
        try:
            return kind.model_validate(document, strict=True)
        except ValidationError as error:
            code = ErrorCode.INVALID_PARAMETER
            raise validation_problem(error, kind, code=code) from error

    with memory.reserve() as reserve:
        body = read_body(request, settings, reserve)
        content = b"".join([chunk async for chunk in body])
        return await offload.run(validated, len(content))
