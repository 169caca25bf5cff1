"""What Redis keeps of an explanation and of a batch: what was asked for, and how it stands."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.infra.artifacts import AttemptArtifacts
from service.jobs.redis_keys import EXPLANATION_ID
from service.schemas.documents import Failure, ImageInfo, LabelMapInfo, Status
from service.schemas.fingerprint import ModelRef
from service.schemas.requests import ResolvedSettings
from service.schemas.results import Outcome

# What is read from Redis is believed as far as it has these types.
Moment = Annotated[float, Field(ge=0, lt=253402300800)]  # seconds since the epoch, to year 9999
Number = Annotated[int, Field(ge=0, lt=2**63)]
ExplanationId = Annotated[str, Field(pattern=f"^{EXPLANATION_ID.pattern}$")]
Token = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class JobSpec(BaseModel):
    """What was asked for; never changes after acceptance."""

    model_config = ConfigDict(frozen=True)

    settings: ResolvedSettings
    model: ModelRef
    image: ImageInfo
    label_map: LabelMapInfo | None = None
    batch: str | None = None  # the id of the batch it is one of
    owner: str | None = None  # the name of the key that asked; None where there are no keys
    cache: str | None = None  # what all requests have in common that its result answers
    request_id: str | None = None  # of the HTTP request that asked for it
    traceparent: str | None = None  # of that request's span, where traces are kept

    @property
    def bytes(self) -> int:
        """Of what was uploaded for it."""
        return self.image.bytes + (self.label_map.bytes if self.label_map else 0)


@dataclass(frozen=True)
class IdempotencyClaim:
    """That a request is to be accepted once: by whoever is the first to write this."""

    key: str  # in Redis
    text: str
    seconds: int  # to remember it


@dataclass(frozen=True)
class BatchRecord:
    """Explanations asked for together, by one settings; each goes its own way."""

    id: str
    created_at: Moment
    members: tuple[ExplanationId, ...]  # in the order of upload; none once expired
    owner: str | None  # the name of the key that asked

    def has(self, state: "State") -> bool:
        """Whether it is one of its own: of its owner and, until it has expired, named after it.

        Where that is not so, its id is not among the members by our doing.
        """
        named = state.order is None or state.order.batch == self.id
        return named and state.owner == self.owner


@dataclass(frozen=True)
class ProgressCount:
    """Evaluations of the model made and planned."""

    evaluations: Number
    planned: Number
    eta_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


@dataclass(frozen=True, eq=False)
class State:
    """One explanation as it stands, by identity: see `hashes.decode`."""

    id: ExplanationId
    version: Number  # grows with every change
    status: Status
    owner: str | None  # known of what has expired, too
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    attempts: Number
    order: JobSpec | None  # None once expired
    progress: ProgressCount
    outcome: Outcome | None
    result: Token | None  # the attempt whose artefacts stand
    artefacts: AttemptArtifacts | None  # what was stored for it
    error: Failure | None
    cached_from: ExplanationId | None  # the explanation that found it, where no worker did
