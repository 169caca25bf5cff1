"""Scores of coalitions of an explanation's regions: the request, the answer, the document."""

from typing import Annotated

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator

from service.schemas.base import ResponseModel
from service.schemas.documents import Status
from service.schemas.fingerprint import ModelRef
from service.schemas.regions import MAX_REGIONS
from service.schemas.requests import Outputs, RequestModel

MAX_COALITIONS = 64  # per request
SCORES_S, PICTURE_S = 60, 15  # how long an answer is kept; pictures are larger

RegionNumber = Annotated[int, Field(ge=0)]


class Coalition(RequestModel):
    """Which regions the model sees: exactly one of the two. Numbers as in `GET …/regions`."""

    hidden: list[RegionNumber] | None = Field(
        default=None, max_length=MAX_REGIONS, description="The hidden regions; all others are shown"
    )
    shown: list[RegionNumber] | None = Field(
        default=None, max_length=MAX_REGIONS, description="The shown regions; all others are hidden"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Coalition":
        given = [name for name, regions in self if regions is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of hidden and shown; received {' and '.join(given) or 'neither'}"
            )
        return self

    @property
    def regions(self) -> list[RegionNumber]:
        """Return the regions that are named, hidden or shown."""
        return self.hidden if self.hidden is not None else self.shown or []


class ScoresRequest(RequestModel):
    """The coalitions to score, and for which outputs of the model."""

    coalitions: list[Coalition] = Field(min_length=1, max_length=MAX_COALITIONS)
    outputs: Outputs | None = Field(
        default=None,
        description="Any outputs of the model, by index or label; null: the explained ones. Where "
        "two models are compared, the answer has three for each, as the explanation has",
    )

    @model_validator(mode="after")
    def _pinned(self) -> "ScoresRequest":
        if self.outputs and self.outputs.top is not None:
            raise ValueError("outputs must be given by indices or labels; received top")
        return self


class ScoredOutput(ResponseModel):
    """An output, and its scores with every region hidden and with every region shown."""

    index: int
    label: str
    base_value: float = Field(description="The score with every region hidden, after the link")
    score: float = Field(description="The score with every region shown, after the link")


class CoalitionScores(ResponseModel):
    """The scores of coalitions, as a worker computed them."""

    outputs: list[ScoredOutput]
    scores: list[list[float]]  # (coalitions, outputs), after the link


class MaskedPicture(BaseModel):
    """The picture of a coalition, as a worker painted it."""

    model_config = ConfigDict(frozen=True)

    png: Base64Bytes


class Scores(ResponseModel):
    """Scores of coalitions, from acceptance on."""

    id: str
    explanation: str
    status: Status
    done: bool
    model: ModelRef = Field(description="The model of the explanation, which computes the scores")
    outputs: list[ScoredOutput] | None = Field(description="Null until done")
    scores: list[list[float]] | None = Field(
        description="After the link: a row for each coalition and a column for each output, both "
        "in the order of the request; null until done"
    )
    links: dict[str, str]
