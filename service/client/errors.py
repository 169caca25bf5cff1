"""What a client raises beside httpx.HTTPError and TimeoutError.

ShapshotError
└── ExplanationFailed  the explanation was accepted and ended without a result
"""

from service.schemas.documents import Explanation, Problem


class ShapshotError(Exception):
    """The server refused; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class ExplanationFailed(ShapshotError):  # noqa: N818
    """The explanation was accepted and ended without a result."""


def succeeded(explanation: Explanation) -> Explanation:
    """The same. Raises ExplanationFailed where it ended with an error."""
    if explanation.error:
        raise ExplanationFailed(explanation.error)
    return explanation
