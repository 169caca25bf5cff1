"""Results of a worker: numbers for each output, curves, and their provenance."""

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.fingerprint import ModelRef
from service.schemas.requests import Metric
from service.schemas.warnings import ResultWarning

# Description of the same field in results and in explanations
REGION_COUNT = (
    "How many regions are told apart: see the link `regions`; null where they are too many for a "
    "table"
)
UNRESOLVED = (
    "The chance that two elements of the picture, drawn from different players, have credit that "
    "is not told apart yet: 1 before anything is known, never rising with evaluations, 0 where "
    "nothing is left to divide"
)
TARGET_REACHED = (
    "Whether every standard error is at most target_standard_error; null where none was asked for"
)
WARNINGS = "Reasons to doubt the result, none for a good one"
CROP = "The part of the upright picture that the model saw"
PLACEMENT = (
    "Where in the model's picture that part lies: all of it, unless fit is pad; what is around it "
    "has no credit"
)


class OutputResult(ResponseModel):
    """One explained output, after the link: score = base_value + attribution_sum + gap."""

    index: int
    label: str
    score: float
    base_value: float
    attribution_sum: float
    efficiency_gap: float
    sparseness: float = Field(
        description="Gini coefficient of the absolute values: 0 where all count alike, towards 1 "
        "where few count"
    )
    held_out_fidelity: float | None = Field(
        description="Share of the variance of left-out scores that the method predicts; null where "
        "it predicts none"
    )
    even_energy: float | None = Field(
        description="Share of the variance over pairs of complementary coalitions that no "
        "attribution can show; null where the method evaluates no pairs"
    )


class MetricArea(ResponseModel):
    """Faithfulness to one output in one number; a random order's beside it to compare with."""

    metric: Metric
    output: int = Field(description="Index of the output")
    label: str
    area: float = Field(
        description="Under the score less its start; of deletion and insertion, under the score"
    )
    baseline_area: float


class Curve(MetricArea):
    """How the score changes as pixels are shown or hidden in the order of their credit."""

    x: list[float] = Field(description="Share of the steps done, 0..1")
    y: list[float] = Field(description="The score after so many")
    baseline: list[float] = Field(description="The score in a random order")


class Faithfulness(ResponseModel):
    """All curves of an explanation, as they are stored."""

    curves: list[Curve]


class Runtime(ResponseModel):
    """What computed the numbers."""

    backend: str
    device: str
    dtype: str
    versions: dict[str, str]


class Timings(ResponseModel):
    """Seconds; masking and model overlap, so they may exceed engine.

    Within a batch, engine counts from the start of those that a worker ran side by side.
    """

    queued_s: float
    prepare_s: float
    engine_s: float
    masking_s: float
    model_s: float
    store_s: float


class Rectangle(ResponseModel):
    """A part of a picture, in its pixels; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Outcome(ResponseModel):
    """What the worker found; stored with the explanation when it ends."""

    model: ModelRef = Field(description="The model that computed it")
    partial: bool = Field(description="True where a cancel ended it early")
    solution_concept: str
    evaluations: int
    players: int
    region_count: int | None = Field(description=REGION_COUNT)
    unresolved: float = Field(description=UNRESOLVED)
    outputs: list[OutputResult]
    efficiency_gap: float = Field(description="Largest absolute gap over the outputs")
    target_reached: bool | None = Field(description=TARGET_REACHED)
    warnings: list[ResultWarning] = Field(description=WARNINGS)
    metrics: list[MetricArea]
    crop: Rectangle = Field(description=CROP)
    placement: Rectangle = Field(description=PLACEMENT)
    runtime: Runtime
    timings: Timings
