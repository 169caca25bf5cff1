"""Documents in responses: explanations, batches, problems."""

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field, JsonValue

from service.schemas.base import ResponseModel
from service.schemas.fingerprint import ModelRef
from service.schemas.keeping import Hold, LastReview
from service.schemas.requests import ResolvedSettings
from service.schemas.results import (
    COMPARED,
    COMPARED_CLASSES,
    COMPARED_RUNTIME,
    CROP,
    PLACEMENT,
    REGION_COUNT,
    TARGET_REACHED,
    UNRESOLVED,
    WARNINGS,
    MetricArea,
    OutputResult,
    Rectangle,
    Runtime,
    Timings,
)
from service.schemas.warnings import ResultWarning, WarningCode

UNTIL = "until the explanation has a result"
TRUE_LABEL = "The class that the picture truly shows, as the request says; null: it does not say"
CORRECT = (
    "Whether the class with the highest score is the true one; null if the true one is not known, "
    f"where the explained outputs do not tell, and {UNTIL}"
)

# --- Problems -----------------------------------------------------------------------------------


class ErrorCode(StrEnum):
    """All error codes; `service/api/http/statuses.py` gives each an HTTP status."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    CROSS_SITE = "cross_site"
    INVALID_LINK = "invalid_link"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    NOT_FINISHED = "not_finished"
    STILL_RUNNING = "still_running"
    HELD = "held"
    GONE = "gone"
    LINK_EXPIRED = "link_expired"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    URI_TOO_LONG = "uri_too_long"
    MISDIRECTED_REQUEST = "misdirected_request"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_IMAGE = "invalid_image"
    INVALID_IMAGE_URL = "invalid_image_url"
    INVALID_LABEL_MAP = "invalid_label_map"
    INVALID_SETTINGS = "invalid_settings"
    INVALID_PARAMETER = "invalid_parameter"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_OUTPUT = "unknown_output"
    MODEL_CHANGED = "model_changed"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DISABLED = "webhook_disabled"
    TOO_MANY_WEBHOOKS = "too_many_webhooks"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_FAILED = "model_failed"
    NO_RESULT = "no_result"
    RATE_LIMITED = "rate_limited"
    QUEUE_FULL = "queue_full"
    SHARE_FULL = "share_full"
    BUSY = "busy"
    NO_WORKER = "no_worker"
    REDIS_UNAVAILABLE = "redis_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    DATA_LOST = "data_lost"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    WORKER_LOST = "worker_lost"
    CANCELED = "canceled"
    NOT_INSTALLED = "not_installed"
    INTERNAL = "internal"


class Problem(ResponseModel):
    """RFC 9457 problem details; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = Field(description="Part of the request at fault")
    received: JsonValue = Field(description="The value received, shortened")
    accepted: JsonValue = Field(description="Values that are accepted")


class Failure(ResponseModel):
    """An expected failure, recorded by the worker and returned by the API as a problem."""

    code: ErrorCode
    detail: str
    field: str | None = None  # part of the request at fault, as in Problem
    received: JsonValue = None
    accepted: JsonValue = None


# --- Explanations -------------------------------------------------------------------------------


class Status(StrEnum):
    """Status of an explanation; a `done` one changes only to expired."""

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


class ImageInfo(ResponseModel):
    """The upload as received; width and height after EXIF rotation."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    sha256: str
    bytes: int
    format: str
    width: int
    height: int
    name: str | None = Field(  # a default, as records of earlier versions have no name
        None, description="Base name of the file as the client named it; null: it gave none"
    )


class LabelMapInfo(ResponseModel):
    """The label map as received, and its number of regions."""

    sha256: str
    bytes: int
    width: int
    height: int
    regions: int


class Progress(ResponseModel):
    """Model evaluations done and planned; fraction in [0, 1]; eta_s in seconds, null if unknown."""

    evaluations: int
    planned: int
    fraction: float
    eta_s: float | None


OWNER = "Name of the API key that submitted it; null: the server had no keys"


class ClassName(ResponseModel):
    """A class of the model; without labels, its index is its label."""

    index: int
    label: str


class Explanation(ResponseModel):
    """An explanation, from acceptance to expiry."""

    id: str
    owner: str | None = Field(description=OWNER)
    batch: str | None = Field(description="Id of its batch; null: not in a batch")
    status: Status
    done: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(
        description="null: it is not done, or held: then the rest of its time counts from the "
        "release on"
    )
    attempts: int = Field(description="Number of times that a worker started it")
    cached_from: str | None = Field(
        description="Id of the explanation that this result was cached from; null: computed"
    )
    reproduces: str | None = Field(
        description="Id of the explanation that it runs again; null: it was asked for by itself"
    )
    hold: Hold | None = Field(
        description="Who keeps it from expiry and deletion, and why; null: nobody"
    )
    review: LastReview | None = Field(
        description="The last review by a person, which counts; null: there is none"
    )
    settings: ResolvedSettings
    model: ModelRef
    compared: ModelRef | None = Field(description=COMPARED)
    image: ImageInfo
    label_map: LabelMapInfo | None
    progress: Progress
    partial: bool | None
    solution_concept: str | None
    players: int | None = Field(description="Number of players")
    region_count: int | None = Field(description=f"{REGION_COUNT}, and {UNTIL}")
    unresolved: float | None = Field(description=f"{UNRESOLVED}; null {UNTIL}")
    outputs: list[OutputResult] | None
    true_label: ClassName | None = Field(description=TRUE_LABEL)
    correct: bool | None = Field(description=CORRECT)
    efficiency_gap: float | None
    target_reached: bool | None = Field(description=f"{TARGET_REACHED}, and {UNTIL}")
    warnings: list[ResultWarning] | None = Field(description=f"{WARNINGS}; null {UNTIL}")
    metrics: list[MetricArea] | None
    crop: Rectangle | None = Field(description=f"{CROP}; null {UNTIL}")
    placement: Rectangle | None = Field(description=f"{PLACEMENT}; null {UNTIL}")
    runtime: Runtime | None
    compared_classes: list[int] | None = Field(description=f"{COMPARED_CLASSES}, and {UNTIL}")
    compared_runtime: Runtime | None = Field(description=f"{COMPARED_RUNTIME}, and {UNTIL}")
    timings: Timings | None
    links: dict[str, str]
    error: Problem | None


TOTAL = "Number of items that the filters select, on all pages"
TOTAL_EXACT = "False: counting stopped at `total`, and there may be more"


class ExplanationList(ResponseModel):
    """A page of explanations; `next_cursor` is null on the last."""

    items: list[Explanation]
    next_cursor: str | None
    total: int = Field(description=TOTAL)
    total_exact: bool = Field(description=TOTAL_EXACT)


# --- Batches ------------------------------------------------------------------------------------


class BatchStatus(StrEnum):
    """Status of a batch, from those of its explanations."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


BATCH_STATUS = (
    "queued: some explanations are queued and none is running; running: at least one is running; "
    "done: all are done, successfully or not"
)


class TopClass(ClassName):
    """The explained output with the highest score."""

    score: float


class BatchMember(ResponseModel):
    """Summary of an explanation in its batch; its own document has all fields."""

    position: int = Field(description="Position of its picture in the upload, from 0")
    id: str
    name: str | None = Field(description="File name of its picture; null: none was given")
    status: Status
    done: bool
    cached_from: str | None = Field(
        description="Id of the explanation that this result was cached from; null: computed"
    )
    progress: Progress
    top: TopClass | None = Field(
        description=f"The explained output with the highest score; null {UNTIL}"
    )
    true_label: ClassName | None = Field(description=TRUE_LABEL)
    correct: bool | None = Field(description=CORRECT)
    warnings: list[ResultWarning] | None = Field(description=f"{WARNINGS}; null {UNTIL}")
    error: Problem | None
    links: dict[str, str]


class Batch(ResponseModel):
    """Explanations of several pictures with the same settings."""

    id: str
    owner: str | None = Field(description=OWNER)
    status: BatchStatus = Field(description=BATCH_STATUS)
    done: bool
    created_at: datetime
    started_at: datetime | None = Field(description="Start of its first explanation")
    finished_at: datetime | None = Field(description="End of its last explanation")
    expires_at: datetime | None = Field(description="Expiry of its last explanation")
    size: int = Field(description="Number of pictures sent")
    counts: dict[Status, int] = Field(description="Number of explanations in each status")
    settings: ResolvedSettings
    model: ModelRef
    label_map: LabelMapInfo | None
    progress: Progress = Field(
        description="Sums over the explanations: a finished one counts what it evaluated, in both; "
        "a queued one plans what the others plan, or max_evals before any has started. fraction: "
        "the mean over the explanations, 1 for each finished one; it falls only when a job is "
        "restarted or an explanation deleted"
    )
    warnings: dict[WarningCode, int] = Field(description="Number of explanations with each warning")
    explanations: list[BatchMember] = Field(
        description="In the order of upload, without deleted ones"
    )
    links: dict[str, str]


class BatchOverview(ResponseModel):
    """A batch without its explanations."""

    id: str
    owner: str | None = Field(description=OWNER)
    status: BatchStatus = Field(description=BATCH_STATUS)
    done: bool
    created_at: datetime
    size: int = Field(description="Number of pictures sent")
    counts: dict[Status, int] = Field(description="Number of explanations in each status")
    model: ModelRef
    links: dict[str, str]


class BatchList(ResponseModel):
    """A page of batches; `next_cursor` is null on the last."""

    items: list[BatchOverview]
    next_cursor: str | None
    total: int = Field(description=TOTAL)
    total_exact: bool = Field(description=TOTAL_EXACT)
