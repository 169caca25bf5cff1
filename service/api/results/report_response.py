"""What reports of an explanation have in common, whatever their form."""

from collections.abc import Callable
from dataclasses import replace

from anyio import to_thread
from fastapi import Request
from starlette.responses import Response

from service.api.auth.principal import LINK_HOLDER
from service.api.results import artifacts
from service.api.results.faithfulness import CHART_BYTES, CURVES_BYTES
from service.api.results.heatmaps import HeatmapQuery, drawing_memory_bytes
from service.api.results.records import sealed_state
from service.api.results.regions import ROW_BYTES
from service.api.results.report_difference import DIFFERENCE
from service.api.services import RequestServices
from service.jobs.records import State
from service.schemas.results import Outcome

MOST_OUTPUTS = 4  # in the figure


async def reported_state(services: RequestServices, explanation_id: str) -> State:
    """Returns what a report may tell the caller, with its record. Raises ApiError."""
    process, state = services.process, await services.repository.read(explanation_id)
    artifacts.outcome_of(state)
    if process.sealer and artifacts.stored_artifacts(state).evidence:
        state = await to_thread.run_sync(sealed_state, process, state)
    if services.caller is LINK_HOLDER:
        state = replace(state, owner=None, review=None)  # told to holders of keys only
    return state


async def respond_report(
    request: Request,
    services: RequestServices,
    state: State,
    make: Callable[[], bytes],
    media_type: str,
    name: str,
) -> Response:
    told = (media_type, request.app.version, state.record, state.owner, state.review)
    response = await artifacts.respond(
        request,
        make,
        media_type,
        name=name,
        etag=artifacts.etag_of(state, ("report", *told)),
        heavy=services.process.heavy_calls,
        held=report_memory_bytes(state),
    )
    response.headers["Cache-Control"] = artifacts.REVIEWED
    return response


def shown_outputs(outcome: Outcome) -> list[int]:
    """Returns the positions of the outputs that the figure shows; of a comparison, one class."""
    most = DIFFERENCE + 1 if outcome.compared else MOST_OUTPUTS
    return list(range(min(most, len(outcome.outputs))))


def report_memory_bytes(state: State) -> int:
    outcome = artifacts.outcome_of(state)
    drawing = drawing_memory_bytes(state, len(shown_outputs(outcome)), HeatmapQuery())
    rows = (outcome.region_count or 0) * (2 if outcome.compared else 1)
    return drawing + CURVES_BYTES + CHART_BYTES + ROW_BYTES * rows
