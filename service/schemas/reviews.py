"""Reviews of an explanation by people: the request, the signed statement, the documents."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from service.schemas.base import ResponseModel
from service.schemas.evidence import Sha256
from service.schemas.keeping import LABEL, REVIEWER, VERDICT, Person, Verdict
from service.schemas.record import Chain, SignedStatement
from service.schemas.requests import RequestModel

REVIEW_TYPE = "urn:shapshot:review:v1"
MAX_REVIEWS = 1000  # of an explanation
MAX_COMMENT = 2000  # characters

Label = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"\S")]


KEY = "Name of the API key that sent the review; null: the server had no keys"


class ReviewRequest(RequestModel):
    """A review to be signed; it cannot be changed later, and the last one counts."""

    verdict: Verdict = Field(description=VERDICT)
    label: Label | None = Field(
        default=None, description="With override, and then required: the label that is right"
    )
    comment: str | None = Field(default=None, max_length=MAX_COMMENT, description="Reasons")
    reviewer: Person | None = Field(
        default=None,
        description="Name of the person who reviewed it, in one line; null: the name of the key. "
        "Required by a server without keys",
    )

    @model_validator(mode="after")
    def _label_with_override(self) -> "ReviewRequest":
        if (self.verdict is Verdict.OVERRIDE) != (self.label is not None):
            given = "none" if self.label is None else "a label"
            raise ValueError(
                "label: given with the verdict override, and with no other; received the verdict "
                f"{self.verdict} and {given}"
            )
        return self


class Review(ResponseModel):
    """The predicate: what a person said of a recorded explanation."""

    id: str = Field(description="Id of the explanation")
    number: int = Field(ge=1, description="Of this review among those of the explanation, from 1")
    reviewed_at: datetime = Field(description="By the clock of Redis, in UTC")
    chain: Chain
    verdict: Verdict = Field(description=VERDICT)
    label: str | None = Field(description=LABEL)
    comment: str | None
    reviewer: str = Field(description=REVIEWER)
    key: str | None = Field(description=KEY)


class ReviewStatement(SignedStatement):
    """An in-toto statement about a record: its subject is the payload of the record."""

    predicateType: Literal["urn:shapshot:review:v1"]  # noqa: N815 - in-toto's name
    predicate: Review

    @property
    def signed_at(self) -> datetime:
        return self.predicate.reviewed_at


class ReviewDocument(ResponseModel):
    """A review, and where its signed statement is in the chain of records."""

    number: int = Field(description="Of this review among those of the explanation, from 1")
    verdict: Verdict = Field(description=VERDICT)
    label: str | None = Field(description=LABEL)
    comment: str | None
    reviewer: str = Field(description=REVIEWER)
    key: str | None = Field(description=KEY)
    reviewed_at: datetime
    sequence: int = Field(description="Place of its statement in the chain")
    sha256: Sha256 = Field(description="Of the payload of its statement")


class ReviewList(ResponseModel):
    """All reviews of an explanation in their order; the last one counts."""

    items: list[ReviewDocument]
