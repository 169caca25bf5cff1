"""Several explanations in one figure: one row each, on a common colour scale."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from service import render
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.drawing import (
    DrawingOptions,
    FigureScale,
    TrueLabel,
    captioned,
    draw_figure,
)
from service.api.results.drawing_size import figure_memory_bytes, file_memory_bytes
from service.api.results.rows import row_of, unit_of
from service.api.services import ProcessServices, RequestServicesDep
from service.jobs.records import State
from service.schemas.documents import ErrorCode

MAX_PANELS = 400  # outputs, over all pictures
router = APIRouter(prefix="/v1", tags=["results"])


class FigureOptions(DrawingOptions):
    """Options of a figure of several pictures."""

    true_label: list[TrueLabel] = Field(
        [],
        description="Label above each picture, one per picture, in their order; default: the "
        "true_label of its request",
    )
    width: int | None = Field(None, ge=100, le=4096, description="Width of the figure, in pixels")
    scale: FigureScale = "shared"


class FigureQuery(FigureOptions):
    """The explanations to draw, and the options of the figure."""

    id: list[str] = Field(
        min_length=2, max_length=32, description="Ids of finished explanations, one row each"
    )


@artifacts.drawing_routes(router, "/figure", ErrorCode.INVALID_PARAMETER, description="The figure")
async def get_figure(
    request: Request, services: RequestServicesDep, query: Annotated[FigureQuery, Query()]
) -> Response:
    """Draw the attributions of several explanations as one PNG, SVG or PDF.

    Titles say how the rows differ, for example by their models.
    """
    states = [await services.repository.read(explanation_id) for explanation_id in query.id]
    return await figure_of(request, services.process, states, query)


async def figure_of(
    request: Request, services: ProcessServices, states: Sequence[State], query: FigureOptions
) -> Response:
    """Responds with a figure, one row per finished explanation. Raises ApiError."""
    panels = sum(len(artifacts.outcome_of(state).outputs) for state in states)
    if panels > MAX_PANELS:
        detail = f"a figure is limited to {MAX_PANELS} outputs over all its pictures"
        bound = {"maximum": MAX_PANELS}
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "id", panels, bound)
    if (received := len(query.true_label)) not in (0, len(states)):
        detail = f"true_label is given for no picture or for each of the {len(states)} pictures"
        lengths = [0, len(states)]
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "true_label", received, lengths)
    results = [state.result for state in states]
    etag = artifacts.etag_of(states[0], (request.app.version, results, query))
    form = artifacts.format_of(request)
    held = figure_memory_bytes(
        [artifacts.stored_artifacts(state).shape for state in states], query.width
    )
    return await artifacts.respond(
        request,
        partial(_draw, services, states, query, form),
        render.FORMATS[form],
        name=f"figure.{form}",
        etag=etag,
        heavy=services.heavy_calls,
        held=file_memory_bytes(held, form),
    )


def _draw(
    services: ProcessServices,
    states: Sequence[State],
    query: FigureOptions,
    form: render.Format,
) -> bytes:
    named: Sequence[str | None] = query.true_label or [None] * len(states)
    rows = [
        row_of(services, state, true_class=artifacts.true_class(state, label))
        for state, label in zip(states, named, strict=True)
    ]
    unit = unit_of(states, query.unit)
    caption = captioned([artifacts.outcome_of(each).solution_concept for each in states], unit)
    try:
        return draw_figure(rows, query, query.scale, query.width, unit, caption, form)
    except render.InvalidOptionError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, str(error)) from error
