"""Faithfulness curves: the score as players are shown or hidden in order of attribution."""

from functools import partial
from typing import Annotated, get_args

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service import render
from service.api.http.openapi_responses import IF_NONE_MATCH, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.drawing_size import file_memory_bytes
from service.api.results.rows import origin_of
from service.api.services import ProcessServices, RequestServices, RequestServicesDep
from service.jobs.records import State
from service.schemas.base import ResponseModel
from service.schemas.documents import ErrorCode
from service.schemas.requests import Metric
from service.schemas.results import Curve

JSON = "application/json"
CURVES_BYTES, CHART_BYTES = 2**20, 32 * 2**20  # of memory, to read and to draw
PROBLEMS = (ErrorCode.UNKNOWN_OUTPUT, ErrorCode.INVALID_PARAMETER)  # beside those of all results
router = APIRouter(prefix="/v1/explanations", tags=["results"])


class FaithfulnessQuery(BaseModel):
    """The outputs to include."""

    model_config = ConfigDict(extra="forbid")

    output: list[str] = Field(
        [], max_length=1000, description="Index or label of an output; default: all"
    )


Narrowing = Annotated[FaithfulnessQuery, Query()]


class FaithfulnessDocument(ResponseModel):
    """The curves, by metric and output."""

    id: str
    curves: list[Curve]


@router.get(
    "/{explanation_id}/faithfulness",
    response_model=FaithfulnessDocument,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(*PROBLEMS),
)
async def get_faithfulness(
    request: Request, services: RequestServicesDep, explanation_id: str, query: Narrowing
) -> Response:
    """Get the curves of the requested metrics, each with the curve of a random order."""
    state, shown = await _measured(services, explanation_id, query)
    etag = artifacts.etag_of(state, ("faithfulness", shown))

    def make() -> bytes:
        curves = _curves(services.process, state, shown)
        return FaithfulnessDocument(id=state.id, curves=curves).model_dump_json().encode()

    name = f"{state.id}-faithfulness.json"
    heavy, held = services.process.heavy_calls, CURVES_BYTES
    return await artifacts.respond(
        request, make, JSON, name=name, etag=etag, heavy=heavy, held=held
    )


@artifacts.drawing_routes(
    router, "/{explanation_id}/faithfulness", *PROBLEMS, description="The chart"
)
async def get_faithfulness_chart(
    request: Request, services: RequestServicesDep, explanation_id: str, query: Narrowing
) -> Response:
    """Draw the curves of the requested metrics as a PNG, SVG or PDF."""
    state, shown = await _measured(services, explanation_id, query)
    form = artifacts.format_of(request)
    etag = artifacts.etag_of(state, (f"faithfulness.{form}", request.app.version, shown))
    return await artifacts.respond(
        request,
        partial(draw_curves, services.process, state, shown, form),
        render.FORMATS[form],
        name=f"{state.id}-faithfulness.{form}",
        etag=etag,
        heavy=services.process.heavy_calls,
        held=file_memory_bytes(CURVES_BYTES + CHART_BYTES, form),
    )


async def _measured(
    services: RequestServices, explanation_id: str, query: FaithfulnessQuery
) -> tuple[State, list[int]]:
    """Returns a state with curves, and the indices of the selected outputs. Raises ApiError."""
    state = await services.repository.read(explanation_id)
    outcome = artifacts.outcome_of(state)
    if not outcome.metrics:
        requested = state.spec.settings.metrics if state.spec else []
        reason = "it was canceled before they were computed" if requested else "none were requested"
        detail = f"the explanation has no metrics: {reason}"
        raise ApiError(ErrorCode.NO_RESULT, detail, "metrics", requested, list(get_args(Metric)))
    positions = artifacts.output_positions(outcome, query.output)
    return state, [outcome.outputs[position].index for position in positions]


def _curves(services: ProcessServices, state: State, shown: list[int]) -> list[Curve]:
    """Returns the curves of the selected outputs, ordered by metric, then by output."""
    curves = artifacts.load_curves(services, state)
    metrics = list(dict.fromkeys(curve.metric for curve in curves))
    return sorted(
        (curve for curve in curves if curve.output in shown),
        key=lambda curve: (metrics.index(curve.metric), shown.index(curve.output)),
    )


def draw_curves(
    services: ProcessServices, state: State, shown: list[int], form: render.Format
) -> bytes:
    """Draws the curves of these outputs. Blocking. Raises ApiError, StoreError."""
    curves = _curves(services, state, shown)
    names = artifacts.output_names(artifacts.outcome_of(state))
    with artifacts.reading(services, state, "result"):
        return render.faithfulness_chart(
            [
                render.ChartCurve(
                    metric=curve.metric,
                    label=names[curve.output],
                    output=curve.output,
                    x=np.array(curve.x),
                    y=np.array(curve.y),
                    baseline=np.array(curve.baseline),
                    area=curve.area,
                    baseline_area=curve.baseline_area,
                )
                for curve in curves
            ],
            origin=origin_of(state),
            form=form,
        )
