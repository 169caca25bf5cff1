"""Cards of models and of methods, and their lists."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.fingerprint import Digest, ModelParts
from service.schemas.requests import Fit


class ModelStatus(StrEnum):
    """Whether a worker serves the model now."""

    AVAILABLE = "available"
    LOADING = "loading"
    UNAVAILABLE = "unavailable"


class PrecisionError(ResponseModel):
    """How far scores in reduced precision are from those in float32, as differences of scores."""

    largest: float = Field(description="Over all pictures and outputs")
    median: float = Field(description="Over pictures, of the largest of each")
    pictures: int = Field(description="On how many made-up pictures it was measured")


class ModelWarningCode(StrEnum):
    """What was found when a model was loaded that makes some explanations by it doubtful."""

    NAN_SCORES = "nan_scores"  # NaN or infinity for some pictures
    NAN_HIDDEN = "nan_hidden"  # NaN that the model's runtime turns into numbers


class ModelWarning(ResponseModel):
    """One reason for care, and for which of the trial pictures it was seen."""

    code: ModelWarningCode
    detail: str = Field(description="A sentence for people")
    pictures: list[str]


class BackendTrial(ResponseModel):
    """A backend that was tried when a model was loaded whose table in the file names none."""

    backend: str
    taken: bool
    difference: float | None = Field(
        description="Of its scores of trial pictures from TensorFlow's, at most, in parts of the "
        "largest score; null where they could not be compared"
    )
    cpu_ms: float | None = Field(
        description="CPU milliseconds a picture in full batches; null where it was not timed"
    )
    reason: str | None = Field(description="Why it was not taken")


class ModelSummary(ResponseModel):
    """A model as `GET /v1/models` lists it. Unknown until loaded: null."""

    name: str
    default: bool
    status: ModelStatus
    reason: str | None = Field(description="Why it is not available")
    fingerprint: Digest | None = Field(
        description="sha256 over its parts: another one, other scores or names"
    )
    parts: ModelParts | None = Field(description="What the fingerprint covers")
    input_shape: tuple[int, int, int] | None = Field(description="Height, width, channels")
    output_count: int | None
    backend: str | None
    backends_tried: list[BackendTrial] = Field(
        description="Where the file of models left the backend open: what was found of each"
    )
    device: str | None
    dtype: str | None = Field(description="What it computes in; below float32 it is a draft")
    revision: Digest | None = Field(
        description="sha256 of the sources of the worker: another one, perhaps other values"
    )
    precision_error: PrecisionError | None = Field(
        description="Against float32, of a draft, measured when it was loaded"
    )
    warnings: list[ModelWarning] = Field(description="Found when it was loaded")
    value_range: tuple[float, float] = Field(description="Range of the pixel values masks work in")
    preprocessing: str = Field(description="What is applied to pixel values before the model")
    fit: Fit = Field(description="How a photo is brought to the input size, unless asked otherwise")
    fits: list[Fit] = Field(description="What a request may ask for instead")
    description: str | None
    data: str | None
    accuracy: str | None
    limits: str | None
    license: str | None


class ModelCard(ModelSummary):
    """The whole card: the summary and the label of every output."""

    labels: list[str] | None


class ModelList(ResponseModel):
    """Answer of `GET /v1/models`."""

    items: list[ModelSummary]


class MethodCard(ResponseModel):
    """A method and the JSON Schema of the settings it takes, with its defaults."""

    name: str
    title: str
    solution_concept: str
    reference: str
    settings_schema: dict[str, Any]


class MethodList(ResponseModel):
    """Answer of `GET /v1/methods`."""

    items: list[MethodCard]
