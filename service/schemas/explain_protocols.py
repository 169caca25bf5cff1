"""Requests and responses of the explain calls of KServe (V1) and of Vertex AI.

KServe: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol. Vertex:
`Explain` of `google.cloud.aiplatform.v1.PredictionService`, in the JSON of protocol buffers, whose
fields have a name in camel case and one in snake case.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from service.schemas.base import ResponseModel
from service.schemas.documents import Status
from service.schemas.warnings import WarningCode

MAX_PATHS = 50  # of Vertex's sampledShapleyAttribution
INSTANCE = (
    "A picture: a file in base64 or as a data: URL; an object that holds it, such as "
    '`{"b64": …}` or `{"image_bytes": {"b64": …}}`; or its pixels, as nested lists (H, W) or '
    "(H, W, C) of whole numbers 0..255, or of fractions 0..1"
)
SETTINGS = "Settings, as of `POST /v1/explanations`, without `model`, which the path names"
Nested = list[list[float]] | list[list[list[float]]]


class Explained(ResponseModel):
    """An explanation that the answer was made of; its document has everything else."""

    id: str
    status: Status
    warnings: list[WarningCode]
    links: dict[str, str]


# --- KServe


class KServeRequest(BaseModel):
    """`explain` of KServe's V1 protocol. `parameters` is an extension."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Any] = Field(description=f"{INSTANCE}. `inputs` is another name of it")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description=f'{SETTINGS}; `outputs` is `{{"top": 1}}` by default'
    )


class KServePrediction(ResponseModel):
    """Scores of the explained outputs."""

    indices: list[int]
    labels: list[str]
    scores: list[float]


class KServeExplanation(ResponseModel):
    """Attributions to the explained outputs, in the order of the prediction."""

    base_values: list[float] = Field(description="Scores with everything hidden")
    saliency: list[list[list[float]]] = Field(
        description="(K, H, W): for each output what a pixel of the model's picture adds to the "
        "score, summed over its channels"
    )


class KServeResponse(ResponseModel):
    """One prediction and one explanation for each instance. `shapshot` is an extension."""

    predictions: list[KServePrediction]
    explanations: list[KServeExplanation]
    shapshot: list[Explained]


class KServeError(ResponseModel):
    """An error of KServe's V1 protocol; `problem` is an extension."""

    error: str = Field(description="`detail` of the problem")
    problem: dict[str, JsonValue] = Field(description="The problem, as other routes answer it")


# --- Vertex


class VertexModel(BaseModel):
    """Base of the messages of a request."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class SampledShapley(VertexModel):
    """Sampled Shapley values."""

    path_count: Annotated[int, Field(ge=1, le=MAX_PATHS)] = Field(
        description="Permutations of the regions, each with its reverse"
    )


class ExplanationParameters(VertexModel):
    """How to explain; what is not offered is refused by name."""

    sampled_shapley_attribution: SampledShapley | None = None
    top_k: int | None = Field(None, ge=-1, description="0: as 1; -1: all outputs")
    output_indices: list[int] | None = None
    integrated_gradients_attribution: JsonValue = Field(None, description="Refused")
    xrai_attribution: JsonValue = Field(None, description="Refused")
    examples: JsonValue = Field(None, description="Refused")


class ExplanationSpecOverride(VertexModel):
    """What differs from the model's defaults."""

    parameters: ExplanationParameters = Field(default_factory=ExplanationParameters)
    metadata: JsonValue = Field(None, description="Refused, unless it is empty")
    examples_override: JsonValue = Field(None, description="Refused")


class VertexRequest(VertexModel):
    """`explain` of Vertex AI."""

    instances: list[Any] = Field(description=INSTANCE)
    parameters: dict[str, JsonValue] | None = Field(None, description=SETTINGS)
    explanation_spec_override: ExplanationSpecOverride = Field(
        default_factory=ExplanationSpecOverride
    )
    deployed_model_id: str | None = Field(
        None, description="The model's fingerprint; refused with 409 if another one is served"
    )
    concurrent_explanation_spec_override: JsonValue = Field(None, description="Refused")


class Attribution(ResponseModel):
    """Attributions to one output."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    baseline_output_value: float = Field(description="The score with everything hidden")
    instance_output_value: float = Field(description="The score")
    feature_attributions: dict[str, Nested] = Field(
        description="By the name of the input, `image` where it has none: what each number of the "
        "model's picture adds to the score, (H, W, C)"
    )
    output_index: list[int]
    output_display_name: str
    approximation_error: float | Literal["NaN", "Infinity"] = Field(
        description="Largest standard error of a region's attribution, or the gap between the sum "
        "of all and the difference of the scores if that is larger, as a share of that difference; "
        "NaN where it is not known"
    )
    output_name: str


class VertexExplanation(ResponseModel):
    """The attributions of one instance, the output with the highest score first."""

    attributions: list[Attribution]


class VertexPrediction(ResponseModel):
    """Scores of the explained outputs, as Vertex's image classifiers give them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    ids: list[str] = Field(description="Indices of the outputs")
    display_names: list[str]
    confidences: list[float]


class VertexResponse(ResponseModel):
    """One explanation and one prediction for each instance. `shapshot` is an extension."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    explanations: list[VertexExplanation]
    deployed_model_id: str = Field(description="The model's fingerprint")
    predictions: list[VertexPrediction]
    shapshot: list[Explained]


class RpcStatus(ResponseModel):
    """google.rpc.Status."""

    code: int = Field(description="HTTP status")
    message: str = Field(description="`detail` of the problem")
    status: str = Field(description="Name of google.rpc.Code")
    details: list[dict[str, JsonValue]] = Field(
        description="A google.rpc.ErrorInfo: `reason` is the problem's code, `metadata` its field, "
        "received and accepted"
    )


class VertexError(ResponseModel):
    """An error of Vertex AI."""

    error: RpcStatus
