"""`explain` of KServe's V1 protocol: what its request means here, and its answer."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from service.api.facades.answers import Explained, explained_outputs, explanation_reference
from service.api.facades.settings import checked_settings
from service.api.http.validation import validation_problem
from service.api.results import artifacts
from service.api.services import RequestServices
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.explain_protocols import KServeRequest
from service.schemas.models import ModelCard
from service.schemas.requests import ExplanationSettings

NAMES = {"settings": "parameters"}  # of settings in problems


def settings_of(document: dict[str, Any], card: ModelCard, count: int) -> ExplanationSettings:
    """Returns the settings that the request asks for. Raises ApiError.

    document: without the instances; count: their number.
    """
    try:
        asked = KServeRequest.model_validate({"instances": [], **document})
    except ValidationError as error:
        raise validation_problem(error, KServeRequest, code=ErrorCode.BAD_REQUEST) from error
    given = {"outputs": {"top": 1}, **asked.parameters}
    return checked_settings(given, card.name, count)


def answer(services: RequestServices, explained: list[Explained]) -> dict[str, Any]:
    """Returns the answer, whose arrays are checked here, and read when it is written.

    Both block. Raises ApiError, StoreError.
    """
    for each in explained:
        artifacts.check_outputs(services.process, each.state)
    return {
        "predictions": [_prediction(each.state) for each in explained],
        "explanations": (_explanation(services, each.state) for each in explained),
        "shapshot": [explanation_reference(each.state, services.root_path) for each in explained],
    }


def _prediction(state: State) -> dict[str, Any]:
    outputs = artifacts.outcome_of(state).outputs
    return {
        "indices": [output.index for output in outputs],
        "labels": [output.label for output in outputs],
        "scores": [output.score for output in outputs],
    }


def _explanation(services: RequestServices, state: State) -> dict[str, Any]:
    outputs = artifacts.outcome_of(state).outputs
    saliency: Iterator[Any] = (
        values.sum(axis=2) for values in explained_outputs(services.process, state)
    )
    return {"base_values": [output.base_value for output in outputs], "saliency": saliency}
