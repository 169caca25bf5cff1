"""`explain` of Vertex AI: what its request means here, and its answer.

https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/explain
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from service.api.facades.answers import Explained, explained_outputs, explanation_reference
from service.api.facades.settings import checked_settings
from service.api.http.problems import ApiError
from service.api.http.validation import validation_problem
from service.api.results import artifacts
from service.api.services import RequestServices
from service.api.submission.evaluation_budget import count_players
from service.infra.result_arrays import RECORD_ENTRIES
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.explain_protocols import (
    MAX_PATHS,
    ExplanationParameters,
    ExplanationSpecOverride,
    VertexRequest,
)
from service.schemas.models import ModelCard
from service.schemas.requests import ExplanationSettings, Slic
from service.schemas.results import OutputResult

DEFAULT_PATHS = 10
OVERRIDE = "explanationSpecOverride"
PARAMETERS = f"{OVERRIDE}.parameters"
PATHS = f"{PARAMETERS}.sampledShapleyAttribution.pathCount"
NAMES = {  # of settings in problems
    "settings.outputs.top": f"{PARAMETERS}.topK",
    "settings.outputs.indices": f"{PARAMETERS}.outputIndices",
    "settings.model.fingerprint": "deployedModelId",
    "settings": "parameters",
}
# Fields that only a request of Vertex has
MARKS = {OVERRIDE, "explanation_spec_override", "deployedModelId", "deployed_model_id"}


def settings_of(
    document: dict[str, Any], card: ModelCard, count: int, *, max_evals: int
) -> ExplanationSettings:
    """Returns the settings that the request asks for. Raises ApiError.

    document: without the instances; count: their number; max_evals: the server's limit.
    """
    try:
        asked = VertexRequest.model_validate({"instances": [], **document})
    except ValidationError as error:
        raise validation_problem(error, VertexRequest, code=ErrorCode.BAD_REQUEST) from error
    override = asked.explanation_spec_override
    _refuse_what_is_not_offered(asked, override)
    given = {name: _with_integers(value) for name, value in (asked.parameters or {}).items()}
    if override.parameters.top_k is not None or override.parameters.output_indices is not None:
        _refuse_twice(given, "outputs", f"{PARAMETERS}.topK or outputIndices")
    given.setdefault("outputs", _outputs(override.parameters, card))
    shapley = override.parameters.sampled_shapley_attribution
    if shapley is not None:
        for name in ("method", "max_evals"):
            _refuse_twice(given, name, PATHS)
    if shapley is not None or not given.keys() & {"method", "max_evals"}:
        paths = shapley.path_count if shapley else DEFAULT_PATHS
        given |= _permutations(given, paths, card, max_evals)
    pinned = asked.deployed_model_id
    model = {"name": card.name, "fingerprint": pinned} if pinned else card.name
    return checked_settings(given, model, count)


def _refuse_what_is_not_offered(asked: VertexRequest, override: ExplanationSpecOverride) -> None:
    """Raises ApiError for attribution methods and baselines that are not offered."""
    chosen = override.parameters
    for field, value in {
        f"{PARAMETERS}.integratedGradientsAttribution": chosen.integrated_gradients_attribution,
        f"{PARAMETERS}.xraiAttribution": chosen.xrai_attribution,
        f"{PARAMETERS}.examples": chosen.examples,
        f"{OVERRIDE}.examplesOverride": override.examples_override,
        "concurrentExplanationSpecOverride": asked.concurrent_explanation_spec_override,
    }.items():
        if value is not None:
            accepted = ["sampledShapleyAttribution"]
            detail = f"{field}: not offered; accepted: {accepted[0]}, as permutations of regions"
            raise ApiError(ErrorCode.INVALID_SETTINGS, detail, field, value, accepted)
    if override.metadata not in (None, {}, {"inputs": {}}):
        field = f"{OVERRIDE}.metadata"
        detail = (
            f"{field}: input baselines are not offered; parameters.masker says how hidden regions "
            "are filled, such as constant(0) or blur(56,56)"
        )
        raise ApiError(ErrorCode.INVALID_SETTINGS, detail, field, override.metadata, ["masker"])


def _with_integers(value: Any) -> Any:
    """Returns the JSON value with whole numbers as integers.

    The Value of protocol buffers has no integers, so its clients send 60 as 60.0.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_integers(each) for name, each in value.items()}
    return value


def _refuse_twice(given: dict[str, Any], name: str, other: str) -> None:
    if name in given:
        detail = f"settings.{name}: received it together with {other}; give one of them"
        field = f"settings.{name}"
        raise ApiError(ErrorCode.INVALID_SETTINGS, detail, field, given[name], [other])


def _outputs(chosen: ExplanationParameters, card: ModelCard) -> dict[str, Any]:
    """Returns the outputs: those of the request, by default the highest."""
    if chosen.output_indices:
        return {"indices": chosen.output_indices}
    top = chosen.top_k or 1
    return {"top": top if top > 0 else card.output_count}


def _permutations(
    given: dict[str, Any], paths: int, card: ModelCard, max_evals: int
) -> dict[str, Any]:
    """Returns the settings for that many permutations of the players. Raises ApiError."""
    chosen = {"method": "permutation", "superpixels": given.get("superpixels")}
    H, W, C = card.input_shape or (1, 1, 1)
    if chosen["superpixels"] is None:
        segments = min(Slic(kind="slic").segments, max(2, H * W))
        chosen["superpixels"] = {"kind": "slic", "segments": segments}
    settings = checked_settings(given | chosen, card.name, count=1)
    if settings.superpixels is None:
        raise ValueError("superpixels were set above")
    players = count_players(settings.superpixels, (H, W, C), None, card.fit).count
    cost = 2 * players + 1  # of a permutation and its reverse, as the method counts it
    if paths * cost > max_evals:
        detail = (
            f"{PATHS}: {paths} paths of {players} players are {paths * cost} evaluations; this "
            f"server allows {max_evals}: ask for fewer paths, or fewer players by "
            "parameters.superpixels"
        )
        accepted = {"minimum": 1, "maximum": min(MAX_PATHS, max_evals // cost)}
        raise ApiError(ErrorCode.INVALID_SETTINGS, detail, PATHS, paths, accepted)
    return chosen | {"max_evals": paths * cost}


# --- The answer


def answer(services: RequestServices, explained: list[Explained]) -> dict[str, Any]:
    """Returns the answer, whose arrays are checked here, and read when it is written.

    Both block. Raises ApiError, StoreError.
    """
    model = artifacts.outcome_of(explained[0].state).model
    return {
        "explanations": [_explanation(services, each) for each in explained],
        "deployedModelId": model.fingerprint or "",
        "predictions": [_prediction(each.state) for each in explained],
        "shapshot": [explanation_reference(each.state, services.root_path) for each in explained],
    }


def _prediction(state: State) -> dict[str, Any]:
    outputs = artifacts.outcome_of(state).outputs
    return {
        "ids": [str(output.index) for output in outputs],
        "displayNames": [output.label for output in outputs],
        "confidences": [output.score for output in outputs],
    }


def _explanation(services: RequestServices, explained: Explained) -> dict[str, Any]:
    state = explained.state
    names = (*RECORD_ENTRIES, "region_standard_errors")
    errors = artifacts.load_arrays(services.process, state, names=names).get(names[-1])
    outputs = artifacts.outcome_of(state).outputs
    pairs = zip(outputs, explained_outputs(services.process, state), strict=True)
    attributions: Iterator[dict[str, Any]] = (
        {
            "baselineOutputValue": output.base_value,
            "instanceOutputValue": output.score,
            "featureAttributions": {explained.input_name: values},
            "outputIndex": [output.index],
            "outputDisplayName": output.label,
            "approximationError": approximation_error(
                output, None if errors is None else errors[:, position]
            ),
            "outputName": "scores",
        }
        for position, (output, values) in enumerate(pairs)
    )
    return {"attributions": attributions}


def approximation_error(output: OutputResult, errors: NDArray[np.float64] | None) -> float | str:
    """Returns the error of the attributions as a share of the difference that they explain.

    errors: standard errors of the regions, (R,). Vertex defines the field as the error caused by
    the approximation, which more paths may reduce. The sum of the attributions of permutations is
    right after each path, so here it is the largest standard error of a region, or the efficiency
    gap if that is larger. NaN and infinity are strings in the JSON of protocol buffers.
    """
    if errors is None or not np.isfinite(errors).all():
        return "NaN"
    error = max(float(errors.max(initial=0)), abs(output.efficiency_gap))
    difference = abs(output.score - output.base_value)
    if not difference:
        return "Infinity" if error else 0.0
    return error / difference
