"""What the answers of all protocols have in common: the explanations they are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.services import ProcessServices
from service.api.state import serializers
from service.jobs.records import State
from service.schemas.documents import ErrorCode, Status

MAX_NUMBERS = 10_000_000  # of an answer: about 200 MB of text


@dataclass(frozen=True)
class Explained:
    """An explanation that succeeded, and the name of its input in the request."""

    state: State
    input_name: str


def explanation_reference(state: State, root_path: str) -> dict[str, Any]:
    """Returns the part of an answer that leads to our own documents."""
    outcome = artifacts.outcome_of(state)
    return {
        "id": state.id,
        "status": state.status.value,
        "warnings": [warning.code.value for warning in outcome.warnings],
        "links": serializers.links(state, root_path),
    }


def explained_outputs(services: ProcessServices, state: State) -> Iterator[NDArray[np.float32]]:
    """Yields the attributions (H, W, C) to each output. Blocking. Raises ApiError, StoreError."""
    outputs = range(len(artifacts.outcome_of(state).outputs))
    return artifacts.by_output(services, state, outputs, "values")


def require_results(states: list[State]) -> None:
    """Checks that all instances have a result, and not too many numbers. Raises ApiError."""
    for position, state in enumerate(states):
        if state.status is not Status.SUCCEEDED:
            raise _unsuccessful(state, position, states)
    count = sum(prod(artifacts.stored_artifacts(state).shape) for state in states)
    if count > MAX_NUMBERS:
        detail = (
            f"the answer would have {count} numbers, more than {MAX_NUMBERS}: send fewer "
            "instances, or ask for fewer outputs. They are explained: "
            f"{_ids(states)}; GET /v1/explanations/ID/attributions has the arrays"
        )
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "instances", count, ["npz"])


def _unsuccessful(state: State, position: int, states: list[State]) -> ApiError:
    """Returns the error for an instance without a whole result."""
    field = f"instances.{position}"
    others = f"; the explanations of this request are {_ids(states)}"
    if state.error:
        error = state.error
        detail = f"{field}: {error.detail}{others}"
        return ApiError(error.code, detail, field, error.received, error.accepted)
    detail = f"{field}: its explanation is {state.status.value}{others}"
    return ApiError(ErrorCode.CANCELED, detail, field, state.id)


def _ids(states: list[State]) -> str:
    return ", ".join(state.id for state in states)
