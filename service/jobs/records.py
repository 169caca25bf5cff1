"""Records of explanations and batches in Redis: the request and its current state."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.infra.artifacts import Artifact, AttemptArtifacts, Sha256
from service.jobs.redis_keys import EXPLANATION_ID, JOB_ID
from service.schemas.documents import ClassName, Failure, ImageInfo, LabelMapInfo, Status
from service.schemas.fingerprint import ModelRef
from service.schemas.keeping import LastReview
from service.schemas.regions import MAX_REGIONS
from service.schemas.requests import ResolvedSettings
from service.schemas.results import Outcome
from service.schemas.reviews import ReviewDocument
from service.schemas.scores import MAX_COALITIONS, Coalition, CoalitionScores, MaskedPicture

# Values read from Redis are validated against these types.
Moment = Annotated[float, Field(ge=0, lt=253402300800)]  # seconds since the epoch, to year 9999
Number = Annotated[int, Field(ge=0, lt=2**63)]
ExplanationId = Annotated[str, Field(pattern=f"^{EXPLANATION_ID.pattern}$")]
JobId = Annotated[str, Field(pattern=f"^({JOB_ID.pattern})$")]
StreamId = Annotated[str, Field(pattern=r"^\d{1,20}-\d{1,20}$")]  # of an entry of the audit log
Token = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

SCORES_METHOD = "scores"  # stands for the method in totals
Answer = CoalitionScores | MaskedPicture


class CoalitionSpec(BaseModel):
    """A request to score coalitions of an explanation's regions, or to paint one of them."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)

    explanation: ExplanationId
    result: Token  # of the attempt whose arrays have the regions
    artifacts: AttemptArtifacts = Field(alias="artefacts")  # its name in Redis
    explained: tuple[tuple[int, str], ...]  # index and label of each explained output
    regions: Annotated[int, Field(ge=1, le=MAX_REGIONS)]
    coalitions: Annotated[tuple[Coalition, ...], Field(max_length=MAX_COALITIONS)]
    outputs: tuple[int, ...]  # indices; empty if a picture is requested
    picture: bool  # the picture of the only coalition, in place of scores


class JobSpec(BaseModel):
    """The resolved request; never changes after acceptance."""

    model_config = ConfigDict(frozen=True)

    settings: ResolvedSettings
    model: ModelRef
    compared: ModelRef | None = None  # with compare_with
    image: ImageInfo
    label_map: LabelMapInfo | None = None
    true_label: ClassName | None = None
    batch: str | None = None  # id of its batch
    reproduces: ExplanationId | None = None  # the explanation that it runs again
    owner: str | None = None  # name of the API key; None with no keys configured
    cache: str | None = None  # cache key, equal for all requests that its result answers
    request_id: str | None = None  # id of the HTTP request
    traceparent: str | None = None  # of the request's span, if tracing is on
    # Of an explanation computed earlier with these settings
    coalitions: CoalitionSpec | None = None

    @property
    def method(self) -> str:
        """Return the name under which the job is counted."""
        return SCORES_METHOD if self.coalitions else self.settings.method

    @property
    def max_evaluations(self) -> int:
        """Return the most evaluations of all models, without those of metrics."""
        return self.settings.max_evals * (1 if self.settings.compare_with is None else 2)

    @property
    def bytes(self) -> int:
        """Return the size of its uploads; scores have none of their own."""
        if self.coalitions:
            return 0
        return self.image.bytes + (self.label_map.bytes if self.label_map else 0)

    def correct(self, outcome: Outcome) -> bool | None:
        """Return whether the top class of all is the true one; None if that is not known.

        Where the request chose the outputs, another may have a higher score than those explained.
        """
        if self.true_label is None or outcome.top is None:
            return None
        agrees = outcome.top.index == self.true_label.index
        if self.settings.outputs.top is not None:
            return agrees
        explained = {output.index for output in outcome.outputs}
        return False if not agrees and self.true_label.index in explained else None


@dataclass(frozen=True)
class BatchRecord:
    """Explanations requested together with the same settings; each runs on its own."""

    id: str
    created_at: Moment
    members: tuple[ExplanationId, ...]  # in upload order; empty once expired
    owner: str | None  # name of the API key

    def has(self, state: "State") -> bool:
        """Return whether an explanation really belongs to the batch.

        It must have the batch's owner and, until it expires, name the batch. Otherwise somebody
        else wrote its id into the members.
        """
        named = state.spec is None or state.spec.batch == self.id
        return named and state.owner == self.owner


@dataclass(frozen=True)
class ProgressCount:
    """Model evaluations done and planned."""

    evaluations: Number
    planned: Number
    eta_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class TimestampReference(BaseModel):
    """A timestamp of a record; the response of the authority is in the store under its sha256."""

    model_config = ConfigDict(frozen=True)

    response: Artifact
    stamped_at: datetime  # by the authority's clock


class RecordReference(BaseModel):
    """The sealed record of an explanation; it is in the store under its sha256."""

    model_config = ConfigDict(frozen=True)

    envelope: Artifact
    payload_sha256: Sha256
    key_id: str  # of the key that signed it
    sequence: Number
    timestamp: TimestampReference | None = None  # over the signature


class ReviewReference(BaseModel):
    """A sealed review of an explanation; its envelope is in the store under its sha256."""

    model_config = ConfigDict(frozen=True)

    envelope: Artifact
    review: ReviewDocument


class HoldRecord(BaseModel):
    """Who keeps an explanation from expiry and deletion, and why."""

    model_config = ConfigDict(frozen=True)

    by: str
    since: Moment
    reason: str
    until: Moment | None  # None: until it is released


class ChainEntry(BaseModel):
    """A sealed statement in the chain; it stays when what it is about is gone."""

    model_config = ConfigDict(frozen=True)

    id: ExplanationId | StreamId  # of the explanation; of the last entry of an audit segment
    sha256: Sha256  # of the payload
    kind: Literal["record", "review", "audit"] = "record"  # older entries have no kind


@dataclass(frozen=True, eq=False)
class State:
    """The current state of an explanation or scores, compared by identity: see `codec.decode`."""

    id: JobId
    version: Number  # incremented on every change
    status: Status
    owner: str | None  # still known after expiry
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    attempts: Number
    spec: JobSpec | None  # `order` in Redis; None once expired
    progress: ProgressCount
    outcome: Outcome | None
    result: Token | None  # token of the attempt that produced the result
    artifacts: AttemptArtifacts | None  # `artefacts` in Redis: their sizes and digests
    error: Failure | None
    cached_from: ExplanationId | None  # the explanation whose result it shares
    record: RecordReference | None = None  # once it is sealed; kept by the tombstone
    review: LastReview | None = None
    hold: HoldRecord | None = None
    answer: Answer | None = None  # to a request for coalitions
    preview: Number | None = None  # evaluations of which the preview of a running one tells
