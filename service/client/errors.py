"""What a client raises beside httpx.HTTPError and TimeoutError.

ShapshotError
└── ExplanationFailedError  the explanation was accepted and ended without a result
"""

from service.schemas.documents import Explanation, Problem


class ShapshotError(Exception):
    """The server refused; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class ExplanationFailedError(ShapshotError):
    """The explanation was accepted and ended without a result."""


def succeeded(explanation: Explanation) -> Explanation:
    """The same. Raises ExplanationFailedError where it ended with an error."""
    if explanation.error:
        raise ExplanationFailedError(explanation.error)
    return explanation
