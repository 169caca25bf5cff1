"""The comparison of an explanation with a later run of the same request."""

from typing import Literal

from pydantic import Field, JsonValue

from service.schemas.base import ResponseModel

Verdict = Literal["same", "within_tolerance", "differs", "other_model"]


class Change(ResponseModel):
    """Something that differs between the two runs."""

    name: str
    before: JsonValue
    now: JsonValue


class CoalitionsCompared(ResponseModel):
    """The coalitions that the method asked for, without the empty and the full one."""

    before: int
    now: int
    first_difference: int | None = Field(
        description="Position of the first that is not the same, from 0; null: all are the same"
    )


class LargestDifference(ResponseModel):
    """The largest difference, as a share of the largest score of its output.

    Where the largest score of all outputs is over a hundred times as large, a hundredth of it
    stands for that of the output.
    """

    largest: float | None = Field(description="null: nothing can be compared")
    tolerance: float
    within: bool | None


class CurvesCompared(LargestDifference):
    """The largest difference of a faithfulness curve, or of its baseline, at the same share."""

    before: int = Field(description="Number of curves; 0: the run has none")
    now: int


class Reproduction(ResponseModel):
    """What came of running an explanation again, on the model of today."""

    id: str
    reproduces: str = Field(description="Id of the explanation that was run again")
    verdict: Verdict = Field(
        description="other_model: the fingerprint of the model is another. same: the outputs, the "
        "coalitions, and every score, value and curve are equal. within_tolerance: outputs and "
        "coalitions are, and no score, value or curve differs by more than its tolerance. differs: "
        "anything else, such as curves that only one run has"
    )
    model: list[Change] = Field(
        description="Parts in which the models differ; empty: they are the same"
    )
    runtime: list[Change] = Field(
        description="Device, backend, type of numbers, batch size and versions that differ"
    )
    same_pixels: bool = Field(description="Whether the picture was decoded to the same pixels")
    outputs_before: list[int] = Field(description="Indices of the outputs explained")
    outputs_now: list[int] = Field(
        description="Those of the second run; scores and values are compared for those in both"
    )
    coalitions: CoalitionsCompared
    scores: LargestDifference = Field(
        description="Of the empty, the full and each coalition up to the first that differs. "
        "tolerance: the score_tolerance of the first run's evidence"
    )
    values: LargestDifference = Field(
        description="Of the sums over the first run's regions; of single numbers where it has no "
        "table of regions. tolerance: twice that of the scores, as a value averages differences of "
        "two"
    )
    curves: CurvesCompared = Field(
        description="Of the curves that both runs have, of the same metric, output and shares. "
        "tolerance: that of the scores"
    )
