"""The caller of a request, as the API knows it."""

from typing import Literal

from pydantic import Field

from service.schemas.base import ResponseModel


class Caller(ResponseModel):
    """The name of a key, and what it permits."""

    name: str | None = Field(description="Name of the key; null: the server has no keys")
    scopes: list[Literal["read", "explain", "auditor", "admin"]] = Field(
        description="With those that they contain"
    )
