"""What people add to an explanation that is done, as its document tells it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from service.schemas.base import ResponseModel
from service.schemas.requests import RequestModel

MAX_REASON = 500  # characters
# A name of a person, in one line
Person = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,99})$")]
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


class HoldRequest(RequestModel):
    """Why an explanation must be kept, and until when."""

    reason: Annotated[str, StringConstraints(max_length=MAX_REASON, pattern=r"\S")] = Field(
        description="Why it must be kept"
    )
    until: AwareDatetime | None = Field(
        default=None,
        description="When the hold ends by itself, with a time zone; null: when it is released",
    )
    name: Person | None = Field(
        default=None,
        description="Who holds it; only, and required, for a server without keys. With keys, the "
        "name of the key",
    )


class Hold(ResponseModel):
    """A hold: the explanation neither expires nor can be deleted until it is released."""

    by: str = Field(description="Name of the key that holds it; without keys, the name given")
    since: datetime
    reason: str
    until: datetime | None = Field(description="null: until it is released")
