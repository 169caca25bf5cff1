"""Attributions as a picture: a figure of all outputs, or one output over the photo or alone."""

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
    DrawingSubject,
    FigureScale,
    TrueLabel,
    draw,
)
from service.api.results.drawing_size import (
    Size,
    Style,
    figure_memory_bytes,
    file_memory_bytes,
    layer_memory_bytes,
    layer_size,
    uses_photo,
)
from service.api.results.interactions import strongest
from service.api.results.region_geometry import measure
from service.api.results.rows import origin_of, row_of, unit_of
from service.api.services import ProcessServices, RequestServicesDep
from service.jobs.records import State
from service.schemas.documents import ErrorCode
from service.schemas.regions import MOST_PAIRS

router = APIRouter(prefix="/v1/explanations", tags=["results"])


class HeatmapQuery(DrawingOptions):
    """Options of a heatmap."""

    output: list[str] = Field(
        [],
        max_length=1000,
        description="Index or label of an output; default: all in a figure, else the first",
    )
    style: Style = Field(
        "figure",
        description="figure: the picture and a panel for each output; overlay: one output over "
        "the photo; heat: one output on transparency; interactions: lines between the regions "
        "that interact most for one output, where `interactions` of the request is 2",
    )
    size: Size | None = Field(
        None,
        description="model: as the model's input; original: as the photo (not for a figure); or a "
        "width in pixels. Default: original for an overlay, reduced to at most "
        f"{render.MAX_LAYER_PIXELS} pixels; else model",
    )
    pairs: int = Field(
        20, ge=1, le=MOST_PAIRS, description="Lines of the style interactions, the strongest"
    )
    true_label: TrueLabel | None = Field(
        None,
        description="Label above the picture, only for a figure; default: the true_label of the "
        "request",
    )
    scale: FigureScale = "shared"


@artifacts.drawing_routes(
    router,
    "/{explanation_id}/heatmap",
    ErrorCode.UNKNOWN_OUTPUT,
    ErrorCode.INVALID_PARAMETER,
    description="The picture",
)
async def get_heatmap(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    query: Annotated[HeatmapQuery, Query()],
) -> Response:
    """Draw the attributions as a PNG, SVG or PDF.

    Pixels that raise an output have one colour, pixels that lower it another.
    """
    state = await services.repository.read(explanation_id)
    shown = artifacts.output_positions(artifacts.outcome_of(state), query.output)
    etag = artifacts.etag_of(state, (request.app.version, shown, query))
    form = artifacts.format_of(request)
    return await artifacts.respond(
        request,
        partial(draw_explanation, services.process, state, shown, query, form),
        render.FORMATS[form],
        name=f"{state.id}-{query.style}.{form}",
        etag=etag,
        heavy=services.process.heavy_calls,
        held=file_memory_bytes(drawing_memory_bytes(state, len(shown), query), form),
    )


def drawing_memory_bytes(state: State, outputs: int, query: HeatmapQuery) -> int:
    shape = (*artifacts.stored_artifacts(state).shape[:3], outputs)
    width = query.size if isinstance(query.size, int) else None
    if query.style == "figure":
        return figure_memory_bytes([shape], width)
    photo, model = _photo_size(state), (shape[1], shape[0])
    try:
        size = layer_size(query.style, query.size, model=model, photo=photo)
    except render.InvalidOptionError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, str(error), "size") from error
    if query.style == "interactions":
        return layer_memory_bytes(shape, None, size) + render.LINES_BYTES
    reads_photo = query.style == "overlay" and uses_photo(query.style, query.size)
    return layer_memory_bytes(shape, photo if reads_photo else None, size)


def _photo_size(state: State) -> render.Size:
    """Returns width and height of the upright photo; of the crop if the record has none."""
    crop = artifacts.outcome_of(state).crop
    image = state.spec.image if state.spec else None
    return (image.width, image.height) if image else (crop.right, crop.bottom)


def draw_interactions(
    services: ProcessServices,
    state: State,
    position: int,
    query: HeatmapQuery,
    form: render.Format,
) -> bytes:
    """Draws the strongest pairs of one output, by position. Blocking. Raises ApiError."""
    for name, unfit in (
        ("size", query.size == "original"),
        ("true_label", query.true_label is not None),
        ("scale", query.scale != "shared"),
        ("unit", query.unit == "pixel"),
        ("alpha", query.alpha is not None),
    ):
        if unfit:
            received = getattr(query, name)
            detail = f"a drawing of interactions has no {name} {received}"
            raise ApiError(ErrorCode.INVALID_PARAMETER, detail, name, received)
    arrays = artifacts.load_arrays(services, state, [position])
    if "interaction_values" not in arrays:
        detail = "the explanation has no interactions; request them with `interactions` of 2"
        accepted = ["figure", "overlay", "heat"]
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "style", query.style, accepted)
    rows = strongest(arrays, 0, query.pairs)
    output = artifacts.outcome_of(state).outputs[position]
    with artifacts.reading(services, state, "result"):
        return render.interactions(
            render.attributions_of(arrays),
            render.Pairs(
                arrays["interaction_pairs"][rows],
                arrays["interaction_values"][rows, 0],
                of=len(arrays["interaction_pairs"]),
            ),
            measure(arrays["regions"], len(arrays["region_values"])).centroids,
            width_px=query.size if isinstance(query.size, int) else None,
            palette=query.palette,
            score=output.score,
            origin=origin_of(state) if query.legend else None,
            form=form,
        )


def draw_explanation(
    services: ProcessServices,
    state: State,
    shown: Sequence[int],
    query: HeatmapQuery,
    form: render.Format,
) -> bytes:
    """Draws the outputs at these positions. Blocking. Raises ApiError, StoreError."""
    outcome = artifacts.outcome_of(state)
    if query.style == "interactions":
        return draw_interactions(services, state, shown[0], query, form)
    labelled = query.style == "figure" or query.true_label is not None
    true_class = artifacts.true_class(state, query.true_label) if labelled else None
    subject = DrawingSubject(
        row_of(services, state, shown, true_class),
        concept=outcome.solution_concept,
        unit=unit_of([state], query.unit),
        crop=outcome.crop,
        placement=outcome.placement,
        photo_size=_photo_size(state),
        photo=partial(artifacts.load_photo, services, state),
    )
    try:
        return draw(subject, query.style, query.size, query, query.scale, form)
    except render.InvalidOptionError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, str(error)) from error
