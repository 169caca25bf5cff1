"""Attributions of each region of a picture to each output, as sent to clients."""

from pydantic import Field

from service.schemas.base import ResponseModel

MAX_REGIONS = 10_000  # per explanation: a larger table is no clearer than the arrays
MAX_NUMBERS = 500_000  # regions x outputs
MAX_ROWS = 100_000  # regions x outputs in one response: about 30 MB of JSON

ADDING = (
    "Values of regions add up to the score less the base value. Of one region, value and "
    "standard_error are those of all its elements: in the arrays each element has them divided by "
    "the region's elements, and they add up again, errors too, as they are one error. Standard "
    "errors of different regions do not add up: a sum of regions has at most the sum of their "
    "errors, and the square root of the sum of their squares where they are independent."
)


class Box(ResponseModel):
    """In pixels; right and bottom exclusive."""

    left: float
    top: float
    right: float
    bottom: float


class Point(ResponseModel):
    """In pixels from the left and from the top; the middle of the first pixel is at 0.5, 0.5."""

    x: float
    y: float


class Credit(ResponseModel):
    """What a region owes to an output."""

    output: int = Field(description="Index of the output")
    label: str
    value: float
    standard_error: float | None = Field(description="Null where the method knows none")
    low: float | None = Field(description="Of the 95 % interval; null where no honest one is known")
    high: float | None
    rank: int = Field(description="1 for the largest absolute value; of equal ones by `region`")
    share: float = Field(description="Of the sum of the absolute values of all regions: 0..1")


class Region(ResponseModel):
    """Pixels that have their credit together: a player, or what Partition divided no further."""

    region: int = Field(description="Its number in the array `regions` of the npz, from 0")
    players: int = Field(description="How many it holds; more than one where it was not divided")
    area: int = Field(description="Pixels of the model's picture")
    channels: list[int] | None = Field(
        description="Which of the pixels' channels are in it, where not all are; else null"
    )
    box: Box = Field(description="Around it, in the model's picture")
    centroid: Point = Field(description="Mean of its pixels' middles, in the model's picture")
    box_in_upload: Box = Field(description="The same in the upright upload")
    centroid_in_upload: Point
    credit: list[Credit] = Field(description="Of each output")


class Regions(ResponseModel):
    """All regions of an explanation, by number."""

    id: str
    adding: str = Field(description="How values and standard errors add up")
    regions: list[Region]
