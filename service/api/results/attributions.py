"""The attribution arrays as JSON, npy or npz."""

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.http.conditional import negotiate_form
from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError
from service.api.http.send_in_pieces import PIECE_BYTES
from service.api.results import artifacts
from service.api.results.array_formats import (
    NpzMember,
    in_fortran_order,
    in_half_precision,
    json_document,
    npy,
    npz,
)
from service.api.results.streaming import Content
from service.api.services import ProcessServices, RequestServicesDep
from service.infra.result_arrays import (
    INTERACTION_BOUND_ENTRIES,
    INTERACTION_ENTRIES,
    REGION_ENTRIES,
    REGION_ERROR_ENTRIES,
    Arrays,
)
from service.jobs.records import State
from service.jobs.result_size import WITH_ERRORS
from service.schemas.base import ResponseModel
from service.schemas.documents import ErrorCode
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES

MEDIA_TYPES = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
}
OFFERED = f"attributions are available as {', '.join(MEDIA_TYPES.values())}"
OTHERS = (
    "base_values",
    "data",
    "output_names",
    "output_indices",
    "players",
    *MODEL_ENTRIES,
    *COMPARED_ENTRIES,
    *REGION_ENTRIES,
    *REGION_ERROR_ENTRIES,
    *INTERACTION_ENTRIES,
    *INTERACTION_BOUND_ENTRIES,
)
MAX_JSON_VALUES = 2_000_000  # about 40 MB of text

router = APIRouter(prefix="/v1/explanations", tags=["results"])


class AttributionsQuery(BaseModel):
    """The outputs to include, and the format."""

    model_config = ConfigDict(extra="forbid")

    output: list[str] = Field(
        [], max_length=1000, description="Index or label of an output; default: all"
    )
    format: Literal["json", "npy", "npz"] | None = Field(None, description="Overrides Accept")
    dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="float16, of npz only: for drawing, at half the bytes. Multiply `values` by "
        "`values_scale`, a power of two for each output that brings its largest number to between "
        "2^14 and 2^15: nothing overflows, numbers keep 11 bits down to 2^-29 of the largest, and "
        "only those below 2^-40 of it become 0. `data` is in float16 too, to 1/8 of 0..255; "
        "`standard_errors` are left out",
    )


class AttributionsDocument(ResponseModel):
    """The arrays as nested lists."""

    id: str
    shape: tuple[int, int, int, int]
    dtype: Literal["float32"]
    axes: Literal["H,W,C,K"]
    output_names: list[str]
    output_indices: list[int]
    base_values: list[float]
    values: list[list[list[list[float]]]]
    standard_errors: list[list[list[list[float]]]] | None = Field(
        description="Standard error of each value. Within a region they add up to the error of "
        "the region's value; across regions they do not, see `/regions`. Null if the method gives "
        "none"
    )
    players: list[list[int]] | None = Field(
        description="The superpixel of each pixel, from 0; -1 in the padding around the photo; "
        "null if the players are pixels"
    )


@router.get(
    "/{explanation_id}/attributions",
    response_model=AttributionsDocument,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        ErrorCode.NOT_ACCEPTABLE,
        ErrorCode.UNKNOWN_OUTPUT,
        ErrorCode.INVALID_PARAMETER,
        content=binary(MEDIA_TYPES["npy"], MEDIA_TYPES["npz"]),
    ),
)
async def get_attributions(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    query: Annotated[AttributionsQuery, Query()],
) -> Response:
    """Get the attributions (H, W, C, K): how much each pixel and channel adds to each output.

    npz holds `values`, `base_values`, `data`, `output_names` and `output_indices`; where known,
    also `standard_errors`, `players` (H, W), and `regions` with the attribution of each region as
    a whole: see `GET …/regions`; and where they were requested `interaction_…` of pairs of regions
    and `alone_…` of each. `model_name`, `model_fingerprint` and `model_parts` (JSON)
    identify the model, and `compared_…` the one that it is compared with. npy holds only `values`.
    """
    state = await services.repository.read(explanation_id)
    kept = artifacts.output_positions(artifacts.outcome_of(state), query.output)
    form = query.format or negotiate_form(request, MEDIA_TYPES, OFFERED)
    half = query.dtype == "float16"
    if half and form != "npz":
        detail = f"float16 needs the scales that only npz holds; received the format {form}"
        raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "dtype", query.dtype, ["float32"])
    shape = (*artifacts.stored_artifacts(state).shape[:3], len(kept))
    if form == "json" and (count := prod(shape)) > MAX_JSON_VALUES:
        detail = f"JSON is limited to {MAX_JSON_VALUES} values; request npz, or fewer outputs"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "Accept", count, ["npy", "npz"])
    return artifacts.stream(
        request,
        services.process,
        partial(_content, services.process, state, kept, form, half=half),
        MEDIA_TYPES[form],
        name=f"{state.id}-attributions.{form}",
        etag=artifacts.etag_of(state, (form, kept, query.dtype) if half else (form, kept)),
        held=_held(state, shape) if form == "json" else _held(state, shape[:3]),
    )


def _held(state: State, shape: tuple[int, ...]) -> int:
    """Returns the bytes of memory for arrays of this shape and the pieces being written."""
    has_errors = state.spec is None or state.spec.settings.method in WITH_ERRORS
    return (8 if has_errors else 4) * prod(shape) + 8 * PIECE_BYTES


def _content(
    services: ProcessServices, state: State, kept: list[int], form: str, *, half: bool
) -> Content:
    """Returns the length of the content, if known, and its pieces. Blocking."""
    H, W, C, K = artifacts.stored_artifacts(state).shape
    if form == "json":
        arrays = artifacts.load_arrays(services, state, kept)
        document = {
            "id": state.id,
            "shape": arrays["values"].shape,
            "dtype": "float32",
            "axes": "H,W,C,K",
            **{n: arrays[n].tolist() for n in ("output_names", "output_indices", "base_values")},
            **{n: arrays.get(n) for n in ("values", "standard_errors", "players")},
        }
        return None, json_document(document)
    if form == "npy":
        artifacts.check_outputs(services, state)
        values = artifacts.by_output(services, state, kept, "values")
        return npy((H, W, C, len(kept)), values)
    if kept == list(range(K)) and not half:
        return artifacts.read_npz(services, state)
    others = artifacts.load_arrays(services, state, kept, names=OTHERS)
    return None, npz(_members(services, state, kept, others, half=half))


def _members(
    services: ProcessServices, state: State, kept: list[int], others: Arrays, *, half: bool
) -> Iterator[NpzMember]:
    shape = (*artifacts.stored_artifacts(state).shape[:3], len(kept))
    if half:
        scales: list[float] = []  # complete once the values are written
        halves = in_half_precision(artifacts.by_output(services, state, kept, "values"), scales)
        numbers, half_type = in_fortran_order(halves), np.dtype(np.float16)
        yield NpzMember("values", shape, half_type, numbers, fortran_order=True)
        yield NpzMember.of("values_scale", np.array(scales))
        others["data"] = others["data"].astype(np.float16)
    else:
        has_errors = artifacts.load_arrays(services, state, kept[:1], names=["standard_errors"])
        for name in ("values", *has_errors):
            numbers = in_fortran_order(artifacts.by_output(services, state, kept, name))
            yield NpzMember(name, shape, np.dtype(np.float32), numbers, fortran_order=True)
    yield from (NpzMember.of(name, array) for name, array in others.items())
