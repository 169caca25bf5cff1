"""The report of an explanation: one page for people, which can be kept and printed."""

import base64
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from service.api.http.openapi_responses import IF_NONE_MATCH, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.faithfulness import draw_curves
from service.api.results.heatmaps import HeatmapQuery, draw_explanation
from service.api.results.interactions import read_interactions
from service.api.results.regions import read_regions
from service.api.results.report_difference import DIFFERENCE, excludes_zero, told_difference
from service.api.results.report_response import reported_state, respond_report, shown_outputs
from service.api.results.report_texts import LIMITS, SAYS, SAYS_NOT, VERDICTS, verdict
from service.api.services import ProcessServices, RequestServicesDep
from service.api.state.serializers import to_datetime
from service.api.submission.methods import METHODS
from service.jobs.records import JobSpec, State
from service.jobs.sealing import RecordChain
from service.schemas.documents import ErrorCode
from service.schemas.regions import Region
from service.schemas.results import Outcome

HTML = "text/html; charset=utf-8"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"  # runs nothing
MOST_REGIONS = 12  # in the table
MOST_REVIEWS = 20
router = APIRouter(prefix="/v1/explanations", tags=["evidence"])


@router.get(
    "/{explanation_id}/report.html",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        content={"text/html": {"schema": {"type": "string"}}}, description="The page"
    ),
)
async def get_report(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get a report for people, as one page that needs nothing else and prints well.

    It tells what was asked, what the model said, where the credit falls and how sure that is,
    whether it is faithful, what it can and cannot say, where it comes from, and how it is signed.
    """
    state = await reported_state(services, explanation_id)
    make = partial(write_report, services.process, state)
    response = await respond_report(request, services, state, make, HTML, f"{state.id}-report.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def write_report(services: ProcessServices, state: State) -> bytes:
    """Writes the page. Blocking. Raises ApiError, StoreError."""
    spec, outcome = state.spec, artifacts.outcome_of(state)
    shown = shown_outputs(outcome)
    if spec is None:
        raise ApiError(ErrorCode.GONE, "the explanation has expired", "id", state.id)
    query = HeatmapQuery()
    figure = draw_explanation(services, state, shown, query, "png")
    chart = b""
    if outcome.metrics:
        explained = [outcome.outputs[position].index for position in shown]
        chart = draw_curves(services, state, explained, "png")
    regions: list[Region] = []
    if outcome.region_count is not None:
        regions = read_regions(
            services, state, outcome, [0, DIFFERENCE] if outcome.compared else [0]
        )
    differences = [region.credit[-1] for region in regions]
    page: str = _template().render(
        **_request(state, spec, outcome),
        **_result(spec, outcome),
        **_credit(outcome, regions),
        together=_together(services, state, outcome),
        difference=told_difference(outcome, regions, differences),
        differing=_region_rows(regions, -1) if outcome.compared else [],
        **_doubts(outcome),
        figure=base64.b64encode(figure).decode(),
        chart=base64.b64encode(chart).decode(),
        alt=f"The picture, and where credit falls for {outcome.outputs[0].label}",
        provenance=_provenance(state, spec, outcome),
        method_limits=LIMITS[spec.settings.method],
        reviews=_reviews(services, state),
        **_signature(services, state),
    )
    return page.encode()


def _request(state: State, spec: JobSpec, outcome: Outcome) -> dict[str, Any]:
    settings = spec.settings
    purpose = settings.metadata.get("purpose")
    compared = outcome.compared
    other = f" other scores than {compared.name}" if compared else " its scores"
    asked = (
        f"Which parts of the picture {spec.image.name or 'that was sent'} made "
        f"{outcome.model.name} give{other}? Answered by {METHODS[settings.method].title}: "
        f"{outcome.solution_concept}, for {outcome.players} players, from {outcome.evaluations} "
        f"evaluations of {'each' if compared else 'the'} model. Hidden parts are painted by "
        f"{settings.masker}."
    )
    return {
        "id": state.id,
        "name": spec.image.name or state.id,
        "owner": state.owner,
        "purpose": purpose if isinstance(purpose, str) else None,
        "created_at": _moment(to_datetime(state.created_at)),
        "model": outcome.model,
        "compared": compared and compared.name,
        "asked": asked,
        "partial": outcome.partial,
    }


def _result(spec: JobSpec, outcome: Outcome) -> dict[str, Any]:
    return {
        "outputs": [
            {
                "label": output.label,
                "score": _number(output.score),
                "base": _number(output.base_value),
                "sum": _number(output.attribution_sum),
                "gap": _number(output.efficiency_gap),
            }
            for output in outcome.outputs
        ],
        "true_label": spec.true_label.label if spec.true_label else None,
        "correct": spec.correct(outcome),
    }


def _credit(outcome: Outcome, regions: Sequence[Region]) -> dict[str, Any]:
    return {
        "regions": _region_rows(regions, 0),
        "region_count": outcome.region_count,
        "top": outcome.outputs[0].label,
    }


def _together(services: ProcessServices, state: State, outcome: Outcome) -> str:
    """Returns a sentence on the strongest interaction for the first output; empty: not known."""
    found = read_interactions(services, state, outcome, [0], 1)
    if not found:
        return ""
    [pair] = found
    one, other = pair.regions
    more = "more" if pair.value > 0 else "less"
    if pair.low is None or pair.high is None:
        sure = "no interval is known"
    else:
        sure = f"95 % interval {_number(pair.low)} … {_number(pair.high)}"
    return (
        f"Of all pairs of regions, {one} and {other} interact most for {pair.label}: the two "
        f"together add {_number(abs(pair.value))} {more} than each without the other ({sure})."
    )


def _region_rows(regions: Sequence[Region], place: int) -> list[dict[str, Any]]:
    """Returns a row for each of the regions that count most; place: of the output's credit."""
    first = sorted(regions, key=lambda region: region.credit[place].rank)[:MOST_REGIONS]
    rows = []
    for region in first:
        credit, point = region.credit[place], region.centroid_in_upload
        known = credit.low is not None and credit.high is not None
        interval = f"{_number(credit.low)} … {_number(credit.high)}"
        rows.append(
            {
                "rank": credit.rank,
                "number": region.region,
                "place": f"around x {point.x:.0f}, y {point.y:.0f}; {region.area} px of the model",
                "value": _number(credit.value),
                "interval": interval if known else "not known",
                "apart": excludes_zero(credit),
                "share": f"{credit.share:.1%}",
            }
        )
    return rows


def _doubts(outcome: Outcome) -> dict[str, Any]:
    curves = [
        {
            "metric": area.metric.replace("_", " "),
            "label": area.label,
            "area": _number(area.area),
            "random": _number(area.baseline_area),
            "verdict": verdict(area.metric, area.area, area.baseline_area),
        }
        for area in outcome.metrics
    ]
    return {
        "curves": curves,
        "warnings": [warning.detail for warning in outcome.warnings],
        "says": SAYS,
        "says_not": SAYS_NOT,
    }


def _provenance(state: State, spec: JobSpec, outcome: Outcome) -> list[tuple[str, str]]:
    settings, runtime, model = spec.settings, outcome.runtime, outcome.model
    image = spec.image
    chosen = settings.model_dump(mode="json", exclude={"metadata"}, exclude_none=True)
    rows = [
        ("Upload", f"{image.format}, {image.width} x {image.height}, sha256 {image.sha256}"),
        ("Model", f"{model.name}, {model.fingerprint}"),
        ("Settings", ", ".join(f"{name} {_told(value)}" for name, value in chosen.items())),
        ("Computed by", f"{runtime.backend}, {runtime.device}, {runtime.dtype}"),
        ("Versions", ", ".join(f"{name} {number}" for name, number in runtime.versions.items())),
    ]
    if outcome.compared and outcome.compared_runtime:
        other, by = outcome.compared, outcome.compared_runtime
        rows.append(("Compared with", f"{other.name}, {other.fingerprint}"))
        rows.append(("Computed by", f"{by.backend}, {by.device}, {by.dtype}"))
    if state.started_at is not None and state.finished_at is not None:
        began, ended = to_datetime(state.started_at), to_datetime(state.finished_at)
        rows.append(("Time", f"{_moment(began)} to {_moment(ended)}"))
    if state.cached_from:
        rows.append(("Copied from", state.cached_from))
    return rows


def _reviews(services: ProcessServices, state: State) -> list[tuple[str, str]]:
    """Returns who said what, and when; the last review first."""
    if state.review is None:
        return []
    found = [each.review for each in RecordChain(services.redis).reviews(state.id)[-MOST_REVIEWS:]]
    rows = []
    for each in reversed(found):
        said = VERDICTS[each.verdict] + (f": {each.label}" if each.label else "")
        about = f"{each.reviewer}, {_moment(each.reviewed_at)}"
        rows.append((said, f"{about}: {each.comment}" if each.comment else about))
    return rows


def _signature(services: ProcessServices, state: State) -> dict[str, Any]:
    record = state.record
    if record is None:
        reason = "it has no record" if services.sealer else "this server has no signing key"
        return {"signature": None, "unsigned": f"The explanation is not signed: {reason}."}
    stamped = record.timestamp and _moment(record.timestamp.stamped_at.astimezone(UTC))
    signed = {"key": record.key_id, "sequence": record.sequence, "sha256": record.payload_sha256}
    signed["stamped"] = stamped
    return {"signature": signed, "unsigned": ""}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _told(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_told(each)}" for name, each in value.items())
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


@functools.cache
def _template() -> Any:
    """The page's template, in which every text is escaped."""
    folder = PackageLoader("service.api.results", "")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.jinja")
