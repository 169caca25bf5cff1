"""Errors that a client raises besides httpx.HTTPError and TimeoutError.

ShapshotError
├── ExplanationFailedError  the explanation was accepted and ended without a whole result
│   └── ExplanationCanceledError  it was canceled; it may have a partial result
└── IncompleteBatchError  some explanations of a batch ended without a whole result
"""

from service.client.batches import BatchGroup
from service.schemas.documents import Explanation, Problem, Status

MAX_ACCEPTED = 200  # characters of accepted values in a message


class ShapshotError(Exception):
    """The server returned an error; `problem` describes it."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        accepted = _accepted(problem)
        more = f"; accepted: {accepted}" if accepted else ""
        super().__init__(f"{problem.title}: {problem.detail}{more}")
        self.problem = problem
        self.retry_after_s = retry_after_s


class ExplanationFailedError(ShapshotError):
    """The explanation was accepted and ended without a whole result."""

    def __init__(self, explanation: Explanation, problem: Problem) -> None:
        super().__init__(problem)
        self.explanation = explanation


class ExplanationCanceledError(ExplanationFailedError):
    """The explanation was canceled; `explanation.partial` tells if it has a partial result."""


class IncompleteBatchError(ShapshotError):
    """Some explanations failed or were canceled; `group` has all of them."""

    def __init__(self, group: BatchGroup) -> None:
        [first, *_] = missing = group.incomplete
        counted = f"{len(missing)} of {group.size} explanations have no whole result"
        problem = first.error or _canceled(first.id, partial=False)
        detail = f"{counted}; the first is {first.id} (position {first.position}): {problem.detail}"
        super().__init__(problem.model_copy(update={"detail": detail}))
        self.group = group


def _accepted(problem: Problem) -> str:
    """Return the accepted values; empty if the detail tells them, or if they are too long."""
    if not isinstance(problem.accepted, list):
        return ""
    values = [
        str(each.get("label", each) if isinstance(each, dict) else each)
        for each in problem.accepted
    ]
    text = ", ".join(values)
    told = all(value in problem.detail for value in values)
    return "" if told or len(text) > MAX_ACCEPTED else text


def whole(explanation: Explanation) -> Explanation:
    """Return the explanation. Raises ExplanationFailedError unless it has a whole result."""
    if explanation.status is Status.CANCELED:
        problem = explanation.error or _canceled(explanation.id, partial=bool(explanation.partial))
        raise ExplanationCanceledError(explanation, problem)
    if explanation.error:
        raise ExplanationFailedError(explanation, explanation.error)
    return explanation


def _canceled(explanation_id: str, *, partial: bool) -> Problem:
    """Describe a canceled explanation, of which the document has no problem."""
    result = "a partial result" if partial else "no result"
    return Problem(
        type="urn:shapshot:problem:canceled",
        title="Canceled",
        status=409,
        code="canceled",
        detail=f"{explanation_id} was canceled and has {result}",
        field=None,
        received=None,
        accepted=None,
    )
