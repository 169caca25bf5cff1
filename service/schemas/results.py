"""Results of a worker: numbers for each output, curves, and their provenance."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from service.schemas.base import ResponseModel
from service.schemas.fingerprint import ModelRef
from service.schemas.requests import Metric
from service.schemas.warnings import ResultWarning

# Description of the same field in results and in explanations
REGION_COUNT = (
    "Number of regions with an attribution of their own (see the link `regions`); null if they are "
    "too many for a table"
)
UNRESOLVED = (
    "Probability that two elements of the picture, drawn from different players, still share one "
    "attribution: 1 at the start, never rising with evaluations, 0 if nothing is left to divide"
)
TARGET_REACHED = (
    "Whether every standard error is at most target_standard_error; null if no target was set"
)
COMPARED = "The model that it is compared with (settings.compare_with); null: none"
COMPARED_CLASSES = "Index of each explained class in the compared model; null: none is compared"
COMPARED_RUNTIME = "What ran the compared model; null: none"
WARNINGS = "Reasons to doubt the result; empty if none was found"
CROP = "The part of the upright picture that the model saw"
PLACEMENT = (
    "Where in the model's picture that part lies: all of it, unless fit is pad; the border around "
    "it has no attribution"
)


OutputOf = Literal["model", "compared", "difference"]


def _index_of(output: dict[str, Any]) -> int:
    return int(output["index"])


class OutputResult(ResponseModel):
    """One explained output, after the link: score = base_value + attribution_sum + gap.

    Where two models are compared, each class has three in turn: of the model, of the compared one,
    and their difference.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    index: int = Field(
        description="Of a comparison: with n outputs of the model, n is added for an output of the "
        "compared model and 2 n for a difference, so that it names one result"
    )
    label: str
    of: OutputOf = Field(  # defaults, as records of earlier versions have neither
        "model",
        description="The model, the model that it is compared with, or the first minus the second",
    )
    class_index: int = Field(
        default_factory=_index_of, description="Index of the class among the model's outputs"
    )
    score: float
    base_value: float
    attribution_sum: float
    efficiency_gap: float
    sparseness: float = Field(
        description="Gini coefficient of the absolute values: 0 if all are equal, near 1 if few "
        "are large"
    )
    held_out_fidelity: float | None = Field(
        description="Share of the variance of held-out scores that the method predicts; null if it "
        "predicts no scores"
    )
    even_energy: float | None = Field(
        description="Share of the variance over pairs of complementary coalitions that no "
        "attribution can express; null if the method evaluates no pairs"
    )


class MetricArea(ResponseModel):
    """Faithfulness to one output as one number, with that of a random order to compare."""

    metric: Metric
    output: int = Field(description="Index of the output")
    label: str
    area: float = Field(
        description="Area under the curve of the score minus its first value; for deletion and "
        "insertion, under the curve of the score"
    )
    baseline_area: float


class Curve(MetricArea):
    """The score as pixels are shown or hidden in the order of their attribution."""

    x: list[float] = Field(
        description="Share of the steps done, 0..1; for deletion and insertion that of the pixels"
    )
    y: list[float] = Field(description="The score there")
    baseline: list[float] = Field(description="The score in a random order")


class Faithfulness(ResponseModel):
    """All curves of an explanation, as they are stored."""

    curves: list[Curve]


class Runtime(ResponseModel):
    """The backend, device, number type and library versions that computed the result."""

    backend: str
    device: str
    dtype: str
    versions: dict[str, str]


class Timings(ResponseModel):
    """Seconds; masking and model overlap, so their sum may exceed engine.

    In a batch, engine counts from the start of the explanations that a worker ran together.
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
    """The result of a worker, stored with the explanation when it ends."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    model: ModelRef = Field(description="The model that computed it")
    # With defaults, as earlier versions compared no models
    compared: ModelRef | None = Field(None, description=COMPARED)
    compared_classes: list[int] | None = Field(None, description=COMPARED_CLASSES)
    compared_runtime: Runtime | None = Field(None, description=COMPARED_RUNTIME)
    partial: bool = Field(description="True if it was canceled and has a partial result")
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

    @property
    def top(self) -> OutputResult | None:
        """The explained output of the model with the highest score; the first of equals."""
        own = (output for output in self.outputs if output.of == "model")
        return max(own, key=lambda output: output.score, default=None)
