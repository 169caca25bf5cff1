"""The documents that cross a boundary: settings, explanations, model cards, problems.

Unknown fields of a request are refused; a response lists every field, absent ones as null.
"""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

MAX_METADATA_BYTES = 16_384


class Request(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class Response(BaseModel):
    """Base of what we answer: no defaults, so that OpenAPI calls every field required."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


# --- Settings of an explanation -----------------------------------------------------------------


class Outputs(Request):
    """Which outputs of the model to explain: exactly one of the three."""

    top: int | None = Field(None, ge=1, description="The k outputs with the highest score")
    indices: list[Annotated[int, Field(ge=0)]] | None = Field(None, min_length=1, max_length=1000)
    labels: list[str] | None = Field(None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _exactly_one(self) -> "Outputs":
        given = [name for name in ("top", "indices", "labels") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of top, indices and labels; received {given or 'none of them'}"
            )
        chosen = self.indices or self.labels or []
        if len(set(chosen)) != len(chosen):
            raise ValueError(f"each output may be named once; received {chosen}")
        return self


def _finite_and_small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(metadata, allow_nan=False).encode())
    except ValueError as error:
        raise ValueError("metadata must be JSON; NaN and infinity are not") from error
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may take {MAX_METADATA_BYTES} bytes as JSON; received {size}")
    return metadata


_INT = r"\s*[1-9]\d{0,3}\s*"
_LEVEL = r"\s*\d{1,3}(\.\d+)?\s*"
_FILL = rf"blur\({_INT},{_INT}\)|constant\({_LEVEL}(,{_LEVEL}){{0,3}}\)"
MASKER_PATTERN = rf"^(inpaint_telea|inpaint_ns|mean|{_FILL})$"


class ExplanationSettings(Request):
    """How a picture is to be explained; every field has a default, and the answer echoes them."""

    model: str | None = Field(
        None, max_length=200, description="Name of a model; null: the default"
    )
    method: Literal["partition"] = Field(
        "partition", description="partition: Owen values of shap's image tree"
    )
    masker: str = Field(
        "inpaint_telea",
        pattern=MASKER_PATTERN,
        description="What hidden pixels get: inpaint_telea, inpaint_ns, blur(kx,ky), mean, "
        "constant(v) or constant(r,g,b), in pixel values 0-255",
        examples=["inpaint_telea", "inpaint_ns", "blur(16,16)", "mean", "constant(127,127,127)"],
    )
    outputs: Outputs | None = Field(
        None, description="Which outputs; null: the top 4, or all of a model with fewer"
    )
    max_evals: int = Field(
        500, ge=2, description="Evaluations of the model, the two base evaluations included"
    )
    batch_size: int = Field(
        50, ge=1, le=100_000, description="Logical batch: it changes Partition's values, as in shap"
    )
    fixed_context: Literal[0, 1] | None = Field(
        None, description="Partition's context: null both halves, 0 hidden only, 1 visible only"
    )
    link: Literal["identity", "logit"] = Field("identity", description="Applied to the scores")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of ties and of random methods")
    metadata: Annotated[dict[str, JsonValue], AfterValidator(_finite_and_small)] = Field(
        default_factory=dict, description="Kept with the explanation and echoed; yours to use"
    )


class ResolvedSettings(ExplanationSettings):
    """Settings after the model was looked up: nothing is left to a default."""

    model: str
    outputs: Outputs


class ExplanationRequest(Request):
    """The JSON form of `POST /v1/explanations`."""

    image: str = Field(description="The picture's bytes in base64 (a data: URL is accepted)")
    settings: ExplanationSettings = Field(default_factory=lambda: ExplanationSettings())


# --- Model cards --------------------------------------------------------------------------------


class ModelStatus(StrEnum):
    """Whether a worker serves the model now."""

    AVAILABLE = "available"
    LOADING = "loading"
    UNAVAILABLE = "unavailable"


class ModelSummary(Response):
    """A model as `GET /v1/models` lists it. Unknown until loaded: null."""

    name: str
    default: bool
    status: ModelStatus
    reason: str | None = Field(description="Why it is not available")
    digest: str | None = Field(description="sha256 of the weights, as sha256:<hex>")
    input_shape: tuple[int, int, int] | None = Field(description="Height, width, channels")
    output_count: int | None
    backend: str | None
    device: str | None
    dtype: str | None
    value_range: tuple[float, float] = Field(description="Range of the pixel values masks work in")
    preprocessing: str = Field(description="What is applied to pixel values before the model")
    fit: Literal["crop", "stretch"] = Field(description="How a photo is brought to the input size")
    description: str | None
    data: str | None
    accuracy: str | None
    limits: str | None
    license: str | None


class ModelCard(ModelSummary):
    """The whole card: the summary and the label of every output."""

    labels: list[str] | None


class ModelList(Response):
    """Answer of `GET /v1/models`."""

    items: list[ModelSummary]


class MethodCard(Response):
    """A method and the JSON Schema of its settings."""

    name: str
    title: str
    solution_concept: str
    reference: str
    settings_schema: dict[str, Any]


class MethodList(Response):
    """Answer of `GET /v1/methods`."""

    items: list[MethodCard]


# --- Explanations -------------------------------------------------------------------------------


class Status(StrEnum):
    """Life of an explanation; `done` statuses never change again, but for expiry."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def done(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING, Status.CANCELING)


class ModelRef(Response):
    """Which model was, or will be, explained."""

    name: str
    digest: str | None


class ImageInfo(Response):
    """The upload as received; width and height after EXIF rotation."""

    sha256: str
    bytes: int
    format: str
    width: int
    height: int


class Progress(Response):
    """Counts of model evaluations; fraction in [0, 1]; eta in seconds, null when unknown."""

    evaluations: int
    planned: int
    fraction: float
    eta_s: float | None


class OutputResult(Response):
    """One explained output, after the link: score = base_value + attribution_sum + gap."""

    index: int
    label: str
    score: float
    base_value: float
    attribution_sum: float
    efficiency_gap: float
    unresolved: float = Field(
        description="Absolute credit not resolved below a region of several players"
    )


class Runtime(Response):
    """What computed the numbers."""

    backend: str
    device: str
    dtype: str
    versions: dict[str, str]


class Timings(Response):
    """Seconds; masking and model overlap, so they may exceed engine."""

    queued_s: float
    prepare_s: float
    engine_s: float
    masking_s: float
    model_s: float
    store_s: float


class Crop(Response):
    """The part of the upright picture that the model saw; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Outcome(Response):
    """What the worker found; stored with the explanation when it ends."""

    partial: bool = Field(description="True where a cancel ended it early")
    solution_concept: str
    evaluations: int
    outputs: list[OutputResult]
    efficiency_gap: float = Field(description="Largest absolute gap over the outputs")
    crop: Crop
    runtime: Runtime
    timings: Timings


class Problem(Response):
    """RFC 9457 problem details; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = Field(description="Which part of the request")
    received: JsonValue = Field(description="What was received, shortened")
    accepted: JsonValue = Field(description="What would be accepted")


class Explanation(Response):
    """An explanation, from acceptance to expiry."""

    id: str
    status: Status
    done: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    attempts: int = Field(description="How often a worker began it")
    settings: ResolvedSettings
    model: ModelRef
    image: ImageInfo
    progress: Progress
    partial: bool | None
    solution_concept: str | None
    outputs: list[OutputResult] | None
    efficiency_gap: float | None
    crop: Crop | None
    runtime: Runtime | None
    timings: Timings | None
    links: dict[str, str]
    error: Problem | None


class ExplanationList(Response):
    """A page of explanations, newest first; `next_cursor` is null on the last."""

    items: list[Explanation]
    next_cursor: str | None


# --- Problems -----------------------------------------------------------------------------------


class ErrorCode(StrEnum):
    """Every way to fail; `service/api/errors.py` gives each a status."""

    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    NOT_FINISHED = "not_finished"
    STILL_RUNNING = "still_running"
    CONFLICT = "conflict"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_IMAGE = "invalid_image"
    INVALID_SETTINGS = "invalid_settings"
    INVALID_PARAMETER = "invalid_parameter"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_OUTPUT = "unknown_output"
    MODEL_UNAVAILABLE = "model_unavailable"
    NO_RESULT = "no_result"
    QUEUE_FULL = "queue_full"
    NO_WORKER = "no_worker"
    REDIS_UNAVAILABLE = "redis_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    WORKER_LOST = "worker_lost"
    CANCELED = "canceled"
    INTERNAL = "internal"


class Failure(Response):
    """An expected failure as a value: what the worker records and the API turns into a problem."""

    code: ErrorCode
    detail: str
