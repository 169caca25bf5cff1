"""The report of a batch: what a cohort of explanations tells together, as one page, and printed."""

import base64
import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from service.api.auth.principal import LINK_HOLDER
from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts, cohort
from service.api.results.batch_results import succeeded
from service.api.results.cohort import Case
from service.api.results.credit import credit_of
from service.api.results.heatmaps import HeatmapQuery, draw_explanation, drawing_memory_bytes
from service.api.results.pdf import PAGE_BYTES, PDF, print_pdf, require_printer
from service.api.results.report import HTML, POLICY
from service.api.services import ProcessServices, RequestServices, RequestServicesDep
from service.api.state.repository import BatchState
from service.api.state.serializers import to_datetime
from service.jobs.records import State
from service.schemas.documents import ErrorCode

MOST_WORST, MOST_ROWS = 12, 20  # with thumbnails; of a table
THUMBNAIL = HeatmapQuery(style="overlay", size=160)
router = APIRouter(prefix="/v1/batches", tags=["evidence"])


@router.get(
    "/{batch_id}/report.html",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        content={"text/html": {"schema": {"type": "string"}}}, description="The page"
    ),
)
async def get_batch_report(
    request: Request, services: RequestServicesDep, batch_id: str
) -> Response:
    """Get a report of a batch that is done: what its pictures tell together, as one page.

    It counts right and wrong predictions where true classes are known, shows the worst first, and
    tells where predictions and curves disagree, where in the pictures credit falls, and which
    warnings there are.
    """
    response = await _respond(request, services, batch_id, HTML)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@router.get(
    "/{batch_id}/report.pdf",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        ErrorCode.NOT_INSTALLED, content=binary(PDF), description="The report, printed"
    ),
)
async def get_batch_report_pdf(
    request: Request, services: RequestServicesDep, batch_id: str
) -> Response:
    """Get the report of a batch as PDF. It needs the extra `pdf`."""
    require_printer()
    return await _respond(request, services, batch_id, PDF)


async def _respond(
    request: Request, services: RequestServices, batch_id: str, media_type: str
) -> Response:
    batch = await services.repository.batch(batch_id)
    if services.caller is LINK_HOLDER:  # the owner is told to holders of keys only
        batch = replace(batch, batch=replace(batch.batch, owner=None))
    states, process = succeeded(batch), services.process
    link = f"{request.base_url}#/explanations/"

    def make() -> bytes:
        page = write_cohort_report(process, batch, states, link)
        return print_pdf(page) if media_type == PDF else page

    results = [(state.id, state.result) for state in states.values()]
    size, owner = len(batch.members), batch.batch.owner
    told = ("report", media_type, request.app.version, results, size, owner, link)
    held = max(drawing_memory_bytes(state, 1, THUMBNAIL) for state in states.values())
    return await artifacts.respond(
        request,
        make,
        media_type,
        name=f"{batch_id}-report.{'pdf' if media_type == PDF else 'html'}",
        etag=artifacts.etag_of(next(iter(states.values())), told),
        heavy=process.heavy_calls,
        held=held + (PAGE_BYTES if media_type == PDF else 0),
    )


def write_cohort_report(
    services: ProcessServices, batch: BatchState, states: Mapping[int, State], link: str
) -> bytes:
    """Writes the page. link: what precedes the id in addresses of explanations. Blocking.

    Raises ApiError, StoreError.
    """
    cases = [_case(services, state) for state in states.values()]
    worst = cohort.worst_first(cases)[:MOST_WORST]
    by_id = {state.id: state for state in states.values()}
    measured = [case for case in cases if case.faithful]
    disagreeing = cohort.disagreeing(cases)
    statuses = Counter(str(state.status) for state in batch.members.values())
    page: str = _template().render(
        id=batch.batch.id,
        owner=batch.batch.owner,
        size=len(batch.members),
        created_at=f"{to_datetime(batch.batch.created_at):%Y-%m-%d %H:%M:%S} UTC",
        models=sorted({case.outcome.model.name for case in cases}),
        statuses=", ".join(f"{count} {status}" for status, count in statuses.most_common()) + ".",
        counts=cohort.counts_of(cases),
        worst=[_shown(services, by_id[case.id], case) for case in worst],
        link=link,
        confusions=cohort.confusions(cases)[:MOST_ROWS],
        measured=len(measured),
        faithful=sum(case.faithful == {cohort.BETTER} for case in measured),
        disagreeing=[case.name for case in disagreeing[:MOST_ROWS]],
        true_classes=cohort.per_true_class(cases)[:MOST_ROWS],
        predicted_classes=cohort.per_predicted_class(cases)[:MOST_ROWS],
        warnings=cohort.warnings_of(cases),
        provenance=_provenance(cases),
        share=lambda share: f"{100 * share:.0f} %",
        number=lambda value: f"{value:.4g}",
        **_credit(cases),
    )
    return page.encode()


def _case(services: ProcessServices, state: State) -> Case:
    spec, outcome = state.spec, artifacts.outcome_of(state)
    if spec is None:
        raise ApiError(ErrorCode.GONE, "an explanation has expired", "id", state.id)
    place = outcome.outputs.index(cohort.predicted_of(outcome))
    values = artifacts.load_arrays(services, state, [place], names=["values"])["values"]
    return Case.of(state, spec, outcome, credit_of(values[..., 0], outcome.placement))


def _shown(services: ProcessServices, state: State, case: Case) -> dict[str, Any]:
    place = case.outcome.outputs.index(case.predicted)
    drawn = draw_explanation(services, state, [place], THUMBNAIL, "png")
    return {
        "id": case.id,
        "name": case.name,
        "thumbnail": base64.b64encode(drawn).decode(),
        "predicted": case.predicted.label or f"output {case.predicted.index}",
        "score": case.predicted.score,
        "truth": case.truth.label if case.truth else "",
        "verdict": cohort.VERDICTS[case.correct],
        "centre": case.credit.parts()["the centre"] if case.credit else None,
        "doubts": case.doubts,
    }


def _credit(cases: list[Case]) -> dict[str, Any]:
    """Tells where credit falls, over all cases and over the right and the wrong ones."""
    mean = cohort.credit_over(cases)
    if mean is None:
        return {"credit": None, "credited": 0, "halves": False, "half": 0, "cells": []}
    right = cohort.credit_over([case for case in cases if case.correct is True])
    wrong = cohort.credit_over([case for case in cases if case.correct is False])
    halves = right is not None and wrong is not None
    rows = [
        (part, share, right.parts()[part] if right else 0, wrong.parts()[part] if wrong else 0)
        for part, share in mean.parts().items()
    ]
    shades = 255 - (215 * mean.cells / mean.cells.max()).astype(int)
    return {
        "credit": rows,
        "credited": sum(case.credit is not None for case in cases),
        "halves": halves,
        "half": mean.half,
        "cells": shades.tolist(),
    }


def _provenance(cases: list[Case]) -> list[tuple[str, str]]:
    models = sorted({f"{c.outcome.model.name}, {c.outcome.model.fingerprint}" for c in cases})
    settings = cases[0].spec.settings
    by = sorted({f"{c.outcome.runtime.backend}, {c.outcome.runtime.device}" for c in cases})
    return [
        *(("Model", model) for model in models),
        ("Method", f"{settings.method}, masker {settings.masker}, seed {settings.seed}"),
        ("Evaluations", str(sum(case.outcome.evaluations for case in cases))),
        *(("Computed by", each) for each in by),
    ]


@functools.cache
def _template() -> Any:
    """The page's template, in which every text is escaped."""
    environment = Environment(
        loader=PackageLoader("service.api.results", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("cohort_report.html.jinja")
