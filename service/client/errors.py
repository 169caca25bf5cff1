"""Errors that a client raises besides httpx.HTTPError and TimeoutError.

ShapshotError
└── ExplanationFailedError  the explanation was accepted and ended without a result
"""

from service.schemas.documents import Explanation, Problem


class ShapshotError(Exception):
    """The server returned an error; `problem` describes it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class ExplanationFailedError(ShapshotError):
    """The explanation was accepted and ended without a result."""


def succeeded(explanation: Explanation) -> Explanation:
    """Return the explanation. Raises ExplanationFailedError if it ended with an error."""
    if explanation.error:
        raise ExplanationFailedError(explanation.error)
    return explanation
