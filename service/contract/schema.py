"""The documents we answer with: explanations, model cards, problems.

A response lists every field, absent ones as null.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.contract.request import Metric, ResolvedSettings


class Response(BaseModel):
    """Base of what we answer: no defaults, so that OpenAPI calls every field required."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


# --- Model cards --------------------------------------------------------------------------------


class ModelStatus(StrEnum):
    """Whether a worker serves the model now."""

    AVAILABLE = "available"
    LOADING = "loading"
    UNAVAILABLE = "unavailable"


class PrecisionError(Response):
    """How far scores in reduced precision are from those in float32, as differences of scores."""

    largest: float = Field(description="Over all pictures and outputs")
    median: float = Field(description="Over pictures, of the largest of each")
    pictures: int = Field(description="On how many made-up pictures it was measured")


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
    dtype: str | None = Field(description="What it computes in; below float32 it is a draft")
    precision_error: PrecisionError | None = Field(
        description="Against float32, of a draft, measured when it was loaded"
    )
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
    """A method and the JSON Schema of the settings it takes, with its defaults."""

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


class LabelMapInfo(Response):
    """The label map as received, and how many regions it has."""

    sha256: str
    bytes: int
    width: int
    height: int
    regions: int


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


class MetricArea(Response):
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


class Faithfulness(Response):
    """All curves of an explanation, as they are stored."""

    curves: list[Curve]


class Runtime(Response):
    """What computed the numbers."""

    backend: str
    device: str
    dtype: str
    versions: dict[str, str]


class Timings(Response):
    """Seconds; masking and model overlap, so they may exceed engine.

    Within a batch, engine counts from the start of those that a worker ran side by side.
    """

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
    players: int
    outputs: list[OutputResult]
    efficiency_gap: float = Field(description="Largest absolute gap over the outputs")
    metrics: list[MetricArea]
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
    batch: str | None = Field(description="The batch it came in, if in one")
    status: Status
    done: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    attempts: int = Field(description="How often a worker began it")
    cached_from: str | None = Field(
        description="The explanation that found what this one tells, where no worker had to"
    )
    settings: ResolvedSettings
    model: ModelRef
    image: ImageInfo
    label_map: LabelMapInfo | None
    progress: Progress
    partial: bool | None
    solution_concept: str | None
    players: int | None = Field(description="How many groups of pixels share the credit")
    outputs: list[OutputResult] | None
    efficiency_gap: float | None
    metrics: list[MetricArea] | None
    crop: Crop | None
    runtime: Runtime | None
    timings: Timings | None
    links: dict[str, str]
    error: Problem | None


class ExplanationList(Response):
    """A page of explanations, newest first; `next_cursor` is null on the last."""

    items: list[Explanation]
    next_cursor: str | None


# --- Batches ------------------------------------------------------------------------------------


class BatchStatus(StrEnum):
    """What of a batch is still to be done: it waits for a worker, or runs, or nothing is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class BatchMember(Response):
    """An explanation as its batch shows it; its own document has the rest."""

    position: int = Field(description="Of its picture in the upload, from 0")
    id: str
    status: Status
    done: bool
    cached_from: str | None = Field(
        description="The explanation that found what this one tells, where no worker had to"
    )
    progress: Progress
    error: Problem | None
    links: dict[str, str]


class Batch(Response):
    """Explanations of several pictures by one settings."""

    id: str
    status: BatchStatus = Field(
        description="queued: what is not done waits; running: some of it runs; done: all is done, "
        "however each ended"
    )
    done: bool
    created_at: datetime
    started_at: datetime | None = Field(description="When the first began")
    finished_at: datetime | None = Field(description="When the last ended")
    expires_at: datetime | None = Field(description="When the last goes")
    size: int = Field(description="How many pictures were sent")
    counts: dict[Status, int] = Field(description="How many explanations stand how")
    settings: ResolvedSettings
    model: ModelRef
    label_map: LabelMapInfo | None
    progress: Progress = Field(
        description="Counts added up over the explanations that have begun; fraction: of all"
    )
    explanations: list[BatchMember] = Field(
        description="In the order of upload; those deleted since are left out"
    )
    links: dict[str, str]


# --- Problems -----------------------------------------------------------------------------------


class ErrorCode(StrEnum):
    """Every way to fail; `service/api/protocol/errors.py` gives each a status."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    NOT_FINISHED = "not_finished"
    STILL_RUNNING = "still_running"
    GONE = "gone"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    URI_TOO_LONG = "uri_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_IMAGE = "invalid_image"
    INVALID_LABEL_MAP = "invalid_label_map"
    INVALID_SETTINGS = "invalid_settings"
    INVALID_PARAMETER = "invalid_parameter"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_OUTPUT = "unknown_output"
    MODEL_UNAVAILABLE = "model_unavailable"
    NO_RESULT = "no_result"
    RATE_LIMITED = "rate_limited"
    QUEUE_FULL = "queue_full"
    SHARE_FULL = "share_full"
    BUSY = "busy"
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
