"""How an attempt at a job ended: a failure is a value, never an exception sent somewhere."""

from dataclasses import dataclass

from service.contract.schema import ErrorCode, Failure, Outcome, Status


@dataclass(frozen=True)
class Ending:
    """Succeeded or canceled (with what was found, if anything), or failed with its reason."""

    status: Status
    outcome: Outcome | None = None
    error: Failure | None = None


def failed(code: ErrorCode, detail: str) -> Ending:
    return Ending(Status.FAILED, error=Failure(code=code, detail=detail))
