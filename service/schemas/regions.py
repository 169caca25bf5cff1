"""Attributions of each region of a picture to each output, as sent to clients."""

from pydantic import Field

from service.schemas.base import ResponseModel

MAX_REGIONS = 10_000  # per explanation: a larger table is no clearer than the arrays
MAX_NUMBERS = 500_000  # regions x outputs
MOST_PAIRS = 1225  # of 50 regions
MAX_ROWS = 100_000  # regions x outputs in one response: about 30 MB of JSON

ADDING = (
    "The values of all regions add up to the score minus the base value. The value and the "
    "standard_error of a region are those of all its elements together: in the arrays each element "
    "has them divided by the number of elements, so both add up over the region. The standard "
    "error of a sum of regions is at most the sum of their standard errors, and the square root of "
    "the sum of their squares if they are independent."
)


class Box(ResponseModel):
    """A rectangle in pixels; right and bottom exclusive."""

    left: float
    top: float
    right: float
    bottom: float


class Point(ResponseModel):
    """A point in pixels from the left and the top; the centre of the first pixel is (0.5, 0.5)."""

    x: float
    y: float


class Credit(ResponseModel):
    """The attribution of a region to an output."""

    output: int = Field(description="Index of the output")
    label: str
    value: float
    standard_error: float | None = Field(description="Null if the method gives none")
    low: float | None = Field(
        description="Lower end of the 95 % confidence interval; null if no valid one is known"
    )
    high: float | None = Field(description="Upper end of that interval")
    rank: int = Field(description="1: the largest absolute value; ties are ordered by `region`")
    share: float = Field(description="Share of the sum of absolute values of all regions: 0..1")


class Region(ResponseModel):
    """Pixels attributed together: a player, or players that Partition did not divide."""

    region: int = Field(description="Its number in the array `regions` of the npz, from 0")
    players: int = Field(description="Number of players in it; more than one if it was not divided")
    area: int = Field(description="Number of pixels in the model's picture")
    channels: list[int] | None = Field(
        description="Channels of its pixels that are in it; null: all"
    )
    box: Box = Field(description="Bounding box in the model's picture")
    centroid: Point = Field(description="Mean of its pixels' centres in the model's picture")
    box_in_upload: Box = Field(description="Bounding box in the upright upload")
    centroid_in_upload: Point = Field(description="Centroid in the upright upload")
    credit: list[Credit] = Field(description="Attribution to each output")


class Interaction(ResponseModel):
    """The Shapley interaction index of a pair of regions for an output."""

    regions: tuple[int, int] = Field(description="Their numbers, the lower first")
    output: int = Field(description="Index of the output")
    label: str
    value: float = Field(
        description="Positive: together the two raise the score by more than each does without the "
        "other; in units of the score after the link"
    )
    standard_error: float
    low: float | None = Field(
        description="Lower end of the 95 % confidence interval; null if no valid one is known"
    )
    high: float | None = Field(description="Upper end of that interval")
    rank: int = Field(description="1: the largest absolute value of the output")


class Regions(ResponseModel):
    """All regions of an explanation, by number."""

    id: str
    adding: str = Field(description="How values and standard errors add up")
    regions: list[Region]
    interactions: list[Interaction] | None = Field(
        description="The pairs with the largest absolute values, by output and rank; null if "
        "`interactions` of the request is 1"
    )
