"""Signed links: the request and the response."""

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from service.schemas.base import ResponseModel
from service.schemas.requests import RequestModel


class LinkRequest(RequestModel):
    """What a link permits, and for how long."""

    path: str | None = Field(
        default=None,
        max_length=4000,
        description="One result with its query, or one upload, as in heatmap.png?style=overlay; of "
        "a batch report.html or report.pdf",
    )
    scope: Literal["results"] | None = Field(
        default=None,
        description="results: all results of the explanation, with any query, and the thumbnail, "
        "or both reports of the batch; the default without a path",
    )
    lifetime_s: int | None = Field(
        default=None,
        ge=1,
        description="Seconds until the link expires; null: 3600, or the most allowed",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "LinkRequest":
        if self.path is not None and self.scope is not None:
            raise ValueError("give path or scope; received both")
        return self


class SignedLink(ResponseModel):
    """A link that needs no key."""

    url: str | None = Field(description="The link to the path; null for a scope")
    token: str = Field(
        description="For a scope: add it as `sig` to the query of any result's address"
    )
    expires_at: datetime
