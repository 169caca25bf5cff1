"""An explanation that a worker has begun, and how that ended: a failure is a value."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from service.infra.artifacts import AttemptArtifacts
from service.jobs.records import State
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.results import Outcome
from worker.engine.control import Interruption
from worker.interruptions import JobControl


@dataclass(frozen=True, eq=False)
class Task:
    """One explanation, the token of the attempt at it, and what may stop it."""

    state: State  # as it was begun
    attempt: str
    control: JobControl

    @property
    def marks(self) -> dict[str, str]:
        """What every log line and span about it carries."""
        marks = {"id": self.state.id, "attempt": self.attempt}
        order = self.state.order
        return marks | ({"request_id": order.request_id} if order and order.request_id else {})

    @property
    def traceparent(self) -> str | None:
        """The span of the request that asked for it."""
        return self.state.order.traceparent if self.state.order else None


@dataclass(frozen=True)
class TaskResult:
    """Succeeded or canceled (with what was found and stored, if anything), or failed with why."""

    status: Status
    outcome: Outcome | None = None
    artefacts: AttemptArtifacts | None = None
    error: Failure | None = None


FinishedTask = tuple[Task, TaskResult | Interruption]
Explain = Callable[[Sequence[Task]], Iterator[FinishedTask]]  # yields each task once, as it ends


def failed_unexpectedly(error: Exception) -> TaskResult:
    """By a bug of ours. The trace goes to the log, never to a client."""
    detail = f"an unexpected error in the worker ({type(error).__name__}); its log has more"
    return failed(ErrorCode.INTERNAL, detail)


def failed(
    code: ErrorCode,
    detail: str,
    *,
    field: str | None = None,
    received: JsonValue = None,
    accepted: JsonValue = None,
) -> TaskResult:
    failure = Failure(code=code, detail=detail, field=field, received=received, accepted=accepted)
    return TaskResult(Status.FAILED, error=failure)
