"""What people add to an explanation that is done, as its document tells it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from service.schemas.base import ResponseModel

VERDICT = (
    "accept: the prediction may be used; reject: it may not; override: `label` is used in its place"
)
LABEL = "With override: the label that is right; null with another verdict"
REVIEWER = "Name of the person who reviewed it"


class Verdict(StrEnum):
    """What a reviewer says of a prediction and its explanation."""

    ACCEPT = "accept"
    REJECT = "reject"
    OVERRIDE = "override"


class LastReview(ResponseModel):
    """The review that counts."""

    verdict: Verdict = Field(description=VERDICT)
    label: str | None = Field(description=LABEL)
    reviewer: str = Field(description=REVIEWER)
    reviewed_at: datetime
    count: int = Field(description="Number of reviews")
