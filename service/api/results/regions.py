"""The attribution of each region to each output, as JSON or CSV."""

import csv
import io
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.http.conditional import negotiate_form
from service.api.http.openapi_responses import IF_NONE_MATCH, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.interactions import has_interactions, read_interactions
from service.api.results.region_geometry import box_of, in_upload, measure, point_of
from service.api.services import ProcessServices, RequestServicesDep
from service.images.model_view import ModelView
from service.infra.artifact_store import DamagedArtifactError, attributions_key
from service.infra.result_arrays import REGION_ENTRIES, REGION_ERROR_ENTRIES, Arrays
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.regions import (
    ADDING,
    MAX_ROWS,
    MOST_PAIRS,
    Credit,
    Region,
    Regions,
)
from service.schemas.results import Outcome

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv"}
OFFERED = f"regions are available as {' and '.join(MEDIA_TYPES.values())}"
ROW_BYTES = 2500  # of memory for each row
COLUMNS = (
    *("region", "players", "area", "channels"),
    *("left", "top", "right", "bottom", "x", "y"),
    *("upload_left", "upload_top", "upload_right", "upload_bottom", "upload_x", "upload_y"),
    *Credit.model_fields,
)

router = APIRouter(prefix="/v1/explanations", tags=["results"])


class RegionsQuery(BaseModel):
    """The outputs to include, and the format."""

    model_config = ConfigDict(extra="forbid")

    output: list[str] = Field(
        [], max_length=1000, description="Index or label of an output; default: all"
    )
    pairs: int = Field(
        20,
        ge=0,
        le=MOST_PAIRS,
        description="Strongest interactions of each output in `interactions` of the JSON",
    )
    format: Literal["json", "csv"] | None = Field(None, description="Overrides Accept")


@router.get(
    "/{explanation_id}/regions",
    response_model=Regions,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        ErrorCode.NOT_ACCEPTABLE,
        ErrorCode.UNKNOWN_OUTPUT,
        ErrorCode.INVALID_PARAMETER,
        content={MEDIA_TYPES["csv"]: {"schema": {"type": "string"}}},
    ),
)
async def get_regions(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    query: Annotated[RegionsQuery, Query()],
) -> Response:
    """Get the attribution of each region to each output, with its uncertainty, and its position.

    Regions are the players; for Partition, the parts it did not divide further. JSON has the
    strongest interactions of pairs, where they were requested. CSV has a row for each region and
    output. The npz of the attributions holds the same numbers as arrays.
    """
    state = await services.repository.read(explanation_id)
    outcome = artifacts.outcome_of(state)
    kept = artifacts.output_positions(outcome, query.output)
    form = query.format or negotiate_form(request, MEDIA_TYPES, OFFERED)
    regions = artifacts.region_count(state)
    listed = query.pairs if has_interactions(state) and form == "json" else 0
    rows = (regions + listed) * len(kept)
    if rows > MAX_ROWS:
        detail = f"a response is limited to {MAX_ROWS} regions times outputs; select fewer outputs"
        most = {"outputs": {"maximum": MAX_ROWS // (regions + listed)}}
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "output", len(kept), most)
    return await artifacts.respond(
        request,
        partial(_content, services.process, state, outcome, kept, form, query.pairs),
        MEDIA_TYPES[form],
        name=f"{state.id}-regions.{form}",
        etag=artifacts.etag_of(state, ("regions", request.app.version, form, kept, query.pairs)),
        heavy=services.process.heavy_calls,
        held=rows * ROW_BYTES + 2**20,
    )


def _content(
    services: ProcessServices,
    state: State,
    outcome: Outcome,
    kept: Sequence[int],
    form: str,
    pairs: int,
) -> bytes:
    """Returns the regions as JSON or CSV. Blocking. Raises ApiError, StoreError."""
    regions = read_regions(services, state, outcome, kept)
    if form == "csv":
        return as_csv(regions)
    found = read_interactions(services, state, outcome, kept, pairs)
    document = Regions(id=state.id, adding=ADDING, regions=regions, interactions=found)
    return document.model_dump_json().encode()


def as_csv(regions: Sequence[Region]) -> bytes:
    """Returns a row for each region and output."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for region in regions:
        channels = "" if region.channels is None else " ".join(map(str, region.channels))
        shown: list[object] = [region.region, region.players, region.area, channels]
        for box, point in (
            (region.box, region.centroid),
            (region.box_in_upload, region.centroid_in_upload),
        ):
            shown += [*box.model_dump().values(), point.x, point.y]
        for credit in region.credit:
            writer.writerow([*shown, *credit.model_dump().values()])
    return text.getvalue().encode()


def read_regions(
    services: ProcessServices, state: State, outcome: Outcome, kept: Sequence[int]
) -> list[Region]:
    """Returns the regions, for outputs by position. Blocking. Raises ApiError, StoreError."""
    names = (*REGION_ENTRIES, *REGION_ERROR_ENTRIES)
    arrays = artifacts.load_arrays(services, state, kept, names=names)
    with artifacts.reading(services, state, "result"):
        if not all(name in arrays for name in REGION_ENTRIES):
            key = attributions_key(state.id, str(state.result))
            raise DamagedArtifactError(f"{key!r} lacks the regions that its record counts")
        try:
            return _regions(arrays, outcome, kept)
        except ValueError as error:
            raise DamagedArtifactError(f"the regions of {state.id} are invalid: {error}") from error


def _regions(arrays: Arrays, outcome: Outcome, kept: Sequence[int]) -> list[Region]:
    """Returns the regions in order of their number. Raises ValueError if arrays disagree."""
    values = arrays["region_values"]  # (R, K)
    if len(values) != outcome.region_count or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} regions, or values that are not finite")
    shapes, view = (
        measure(arrays["regions"], len(values)),
        ModelView(outcome.crop, outcome.placement),
    )
    boxes, centroids = (in_upload(each, view) for each in (shapes.boxes, shapes.centroids))
    credit = [
        _credit(arrays, n, outcome.outputs[position].index, outcome.outputs[position].label)
        for n, position in enumerate(kept)
    ]
    return [
        Region(
            region=r,
            players=int(arrays["region_players"][r]),
            area=int(shapes.areas[r]),
            channels=shapes.channels[r],
            box=box_of(shapes.boxes[r]),
            centroid=point_of(shapes.centroids[r]),
            box_in_upload=box_of(boxes[r]),
            centroid_in_upload=point_of(centroids[r]),
            credit=[of_output[r] for of_output in credit],
        )
        for r in range(len(values))
    ]


def _credit(arrays: Arrays, column: int, output: int, label: str) -> list[Credit]:
    """Returns the attribution of each region to one output."""
    values = arrays["region_values"][:, column]
    sizes = np.abs(values)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(-sizes, kind="stable")] = np.arange(1, len(values) + 1)
    total = sizes.sum()
    known = [
        arrays[name][:, column].tolist() if name in arrays else [None] * len(values)
        for name in REGION_ERROR_ENTRIES
    ]
    return [
        Credit(
            output=output,
            label=label,
            value=value,
            standard_error=error,
            low=low,
            high=high,
            rank=rank,
            share=share,
        )
        for value, error, low, high, rank, share in zip(
            values.tolist(),
            *known,
            ranks.tolist(),
            (sizes / (total or 1)).tolist(),
            strict=True,
        )
    ]
