"""Cards of models and of methods, and their lists."""

from enum import StrEnum
from typing import Any

from pydantic import Field, computed_field

from service.schemas.base import ResponseModel
from service.schemas.fingerprint import Digest, ModelParts
from service.schemas.requests import Fit


class ModelStatus(StrEnum):
    """Whether a worker serves the model now."""

    AVAILABLE = "available"
    LOADING = "loading"
    UNAVAILABLE = "unavailable"


class PrecisionError(ResponseModel):
    """Differences between scores in reduced precision and in float32."""

    largest: float = Field(description="Largest over all pictures and outputs")
    median: float = Field(description="Median over pictures of the largest of each")
    pictures: int = Field(description="Number of synthetic pictures it was measured on")


class ModelWarningCode(StrEnum):
    """Problems found when a model was loaded; they make some explanations by it doubtful."""

    NAN_SCORES = "nan_scores"  # NaN or infinity for some pictures
    NAN_HIDDEN = "nan_hidden"  # NaN that the model's runtime turns into numbers


class ModelWarning(ResponseModel):
    """One problem of a model, and the trial pictures it was found with."""

    code: ModelWarningCode
    detail: str = Field(description="Explanation in one sentence")
    pictures: list[str]


class BackendTrial(ResponseModel):
    """A backend that was tried when the model was loaded, as its configuration names none."""

    backend: str
    taken: bool
    difference: float | None = Field(
        description="Largest difference from TensorFlow's scores of trial pictures, relative to "
        "the largest score; null if they could not be compared"
    )
    cpu_ms: float | None = Field(
        description="CPU milliseconds per picture in full batches; null if it was not timed"
    )
    reason: str | None = Field(description="Why it was not chosen")


class ModelSummary(ResponseModel):
    """A model as listed by `GET /v1/models`; fields unknown until it is loaded are null."""

    name: str
    default: bool
    status: ModelStatus
    reason: str | None = Field(description="Why the model is not available")
    fingerprint: Digest | None = Field(
        description="sha256 of its parts; models with other scores or labels have another one"
    )
    parts: ModelParts | None = Field(description="Parts covered by the fingerprint")
    input_shape: tuple[int, int, int] | None = Field(description="Height, width, channels")
    output_count: int | None
    backend: str | None
    backends_tried: list[BackendTrial] = Field(
        description="Backends that were tried, if the models file names none"
    )
    device: str | None
    dtype: str | None = Field(
        description="Number type of its computation; below float32 the results are drafts"
    )
    revision: Digest | None = Field(
        description="sha256 of the worker's source files; with another one, values may differ"
    )
    precision_error: PrecisionError | None = Field(
        description="Of a draft: difference from float32, measured when the model was loaded"
    )
    warnings: list[ModelWarning] = Field(description="Problems found when the model was loaded")
    value_range: tuple[float, float] = Field(
        description="Range of pixel values that maskers work in"
    )
    preprocessing: str = Field(description="Transformation of pixel values before the model")
    fit: Fit = Field(description="Default way to fit a photo to the input size")
    fits: list[Fit] = Field(description="Ways to fit a photo that a request may choose")
    description: str | None
    data: str | None
    accuracy: str | None
    limits: str | None
    license: str | None

    @computed_field(  # type: ignore[prop-decorator]  # mypy knows no decorated property
        description="Whether it is available; KServe's clients ask for it"
    )
    @property
    def ready(self) -> bool:
        return self.status is ModelStatus.AVAILABLE


class ModelCard(ModelSummary):
    """The complete card of a model: the summary, and the label of every output."""

    labels: list[str] | None


class ModelList(ResponseModel):
    """Response of `GET /v1/models`."""

    items: list[ModelSummary]


class MethodCard(ResponseModel):
    """A method and the JSON Schema of the settings it takes, with its defaults."""

    name: str
    title: str
    solution_concept: str
    reference: str
    settings_schema: dict[str, Any]


class MethodList(ResponseModel):
    """Response of `GET /v1/methods`."""

    items: list[MethodCard]
