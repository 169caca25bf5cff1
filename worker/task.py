"""Tasks, the attempts at explanations that a worker has begun, and their results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from service.infra.artifacts import AttemptArtifacts
from service.jobs.records import Answer, State
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.results import Outcome
from worker.engine.control import Interruption
from worker.interruptions import JobControl


@dataclass(frozen=True, eq=False)
class Task:
    """One attempt at an explanation: its record, the attempt's token, and its control."""

    state: State  # the record, as read when the attempt began
    attempt: str
    control: JobControl

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields of every log line and span about the task."""
        fields = {"id": self.state.id, "attempt": self.attempt}
        spec = self.state.spec
        return fields | ({"request_id": spec.request_id} if spec and spec.request_id else {})

    @property
    def traceparent(self) -> str | None:
        """The trace context of the request that created the explanation."""
        return self.state.spec.traceparent if self.state.spec else None


@dataclass(frozen=True)
class TaskResult:
    """The end of a task: succeeded, canceled (perhaps with a partial outcome), or failed."""

    status: Status
    outcome: Outcome | None = None
    artifacts: AttemptArtifacts | None = None
    error: Failure | None = None
    answer: Answer | None = None  # to a request for coalitions


FinishedTask = tuple[Task, TaskResult | Interruption]
Explain = Callable[[Sequence[Task]], Iterator[FinishedTask]]  # yields each task when it ends


def failed_unexpectedly(error: Exception) -> TaskResult:
    """Build the result for an error that is a bug; the traceback goes to the log only."""
    detail = (
        f"an unexpected error in the worker ({type(error).__name__}); its log has the traceback"
    )
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
