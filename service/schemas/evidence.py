"""What a result rests on, as the worker stores it: every coalition, its scores, and the picture."""

from typing import Annotated, Literal

from pydantic import Field

from service.schemas.base import ResponseModel

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class PackedArray(ResponseModel):
    """An array: its bytes in C order, compressed by zlib (RFC 1950), in base64 (RFC 4648)."""

    dtype: Literal["|u1", "<u2", "<f8"] = Field(
        description="Unsigned integers of 8 or 16 bits, or IEEE 754 of 64 bits; little-endian"
    )
    shape: list[Count]
    data: str


class TranscriptDocument(ResponseModel):
    """Coalitions in the order in which they were asked for, and their scores."""

    form: Literal["players", "boxes", "elements"] = Field(
        description="What the row of a coalition holds. players: a bit for each player, the first "
        "in the highest bit of the first byte. boxes: top, bottom, left, right, front and back of "
        "each box that is visible, 16 bits each, bottom, right and back exclusive. elements: a bit "
        "for each pixel, or for each channel of each. A row of more than 512 bytes is kept as its "
        "BLAKE2b digest of 16 bytes"
    )
    steps: list[Count] = Field(description="Number of coalitions asked for at a time")
    sizes: PackedArray = Field(description="Bytes of each row: (B,)")
    rows: PackedArray = Field(description="All rows, one after the other")
    scores: PackedArray = Field(description="Scores after the link: (B, K)")


class RegionNumbers(ResponseModel):
    """Numbers of the regions of the arrays, (R, K) each, in units of the score after the link."""

    values: PackedArray
    standard_errors: PackedArray | None = Field(description="null: the method estimates none")
    low: PackedArray | None = Field(description="Bounds of 95 % intervals; null: none are known")
    high: PackedArray | None


class Evidence(ResponseModel):
    """What an explanation rests on; with its settings and arrays it can be computed again.

    The scores of the empty and of the full coalition are base_value and score of the outputs.
    """

    pixels_sha256: Sha256 = Field(
        description="Of the decoded, upright picture: red, green, blue of each pixel, row by row"
    )
    batch: int = Field(description="Pictures per call of the model, at most; one more may be taken")
    score_tolerance: float = Field(
        description="How far a score may differ for rounding, as a share of the largest"
    )
    regions: RegionNumbers | None = Field(description="null: there are too many for a table")
    expected: PackedArray | None = Field(
        None,
        description="Logs of how much each player is expected to matter, by `prior: picture`: "
        "(M,); null, or absent from older records: nothing is expected",
    )
    transcript: TranscriptDocument = Field(description="Of the method")
    curves: TranscriptDocument | None = Field(
        description="Of the metrics; null if none were requested or computed"
    )
