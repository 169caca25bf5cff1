"""The attribution arrays as JSON, npy or npz."""

import io
from functools import partial
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from service.api.protocol.errors import ApiError
from service.api.protocol.headers import negotiate
from service.api.protocol.responses import IF_NONE_MATCH, binary, shows_result
from service.api.results import artefacts
from service.api.services import Provided, Services
from service.contract.answer import Answer
from service.contract.arrays import Arrays
from service.contract.records import State
from service.contract.schema import ErrorCode

MEDIA_TYPES = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
}
MAX_JSON_VALUES = 5_000_000  # about 100 MB of text

router = APIRouter(prefix="/v1/explanations", tags=["results"])


class AttributionsQuery(BaseModel):
    """Which of the arrays, and how."""

    model_config = ConfigDict(extra="forbid")

    output: list[str] = Field([], max_length=1000, description="Index or label; none: all")
    format: Literal["json", "npy", "npz"] | None = Field(None, description="Overrides Accept")


class AttributionsDocument(Answer):
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
        description="Of the values; null where the method knows none"
    )
    players: list[list[int]] | None = Field(
        description="The superpixel of each pixel, from 0; null where pixels play"
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
    services: Provided,
    explanation_id: str,
    query: Annotated[AttributionsQuery, Query()],
) -> Response:
    """The attributions (H, W, C, K): what each pixel, channel and output owe to each other.

    npz holds `values`, `base_values`, `data`, `output_names` and `output_indices`, and, where they
    are known, `standard_errors` of the values and the `players` (H, W); npy holds `values`.
    """
    state = await services.catalogue.read(explanation_id)
    kept = artefacts.positions(artefacts.outcome_of(state), query.output)
    form = query.format or _negotiated(request)
    etag = artefacts.etag_of(state, (form, kept))
    make = partial(_content, services, state, kept, form)
    name = f"{state.id}-attributions.{form}"
    return await artefacts.answer(
        request, make, MEDIA_TYPES[form], name=name, etag=etag, limiter=services.heavy
    )


def _negotiated(request: Request) -> str:
    offered = list(MEDIA_TYPES.values())
    accept = request.headers.get("accept", "")
    chosen = negotiate(accept, offered)
    if chosen is None:
        detail = f"attributions come as {', '.join(offered)}"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "Accept", accept, offered)
    return next(form for form, media_type in MEDIA_TYPES.items() if media_type == chosen)


def _content(services: Services, state: State, kept: list[int], form: str) -> bytes:
    if form == "npz" and state.outcome and kept == list(range(len(state.outcome.outputs))):
        _, chunks = artefacts.read_npz(services, state)
        return b"".join(chunks)
    names = ["values"] if form == "npy" else None
    arrays = artefacts.load_arrays(services, state, kept, names=names)
    if form == "json":
        return _as_json(state.id, arrays)
    buffer = io.BytesIO()
    if form == "npy":
        np.save(buffer, arrays["values"])
    else:
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _as_json(explanation_id: str, arrays: Arrays) -> bytes:
    values = arrays["values"]
    if values.size > MAX_JSON_VALUES:
        detail = f"JSON may have {MAX_JSON_VALUES} values; ask for npz, or narrow with output="
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "Accept", values.size, ["npy", "npz"])
    document = {
        "id": explanation_id,
        "shape": values.shape,
        "dtype": "float32",
        "axes": "H,W,C,K",
        **{n: arrays[n].tolist() for n in ("output_names", "output_indices", "base_values")},
        "values": values.tolist(),
        **{n: arrays[n].tolist() if n in arrays else None for n in ("standard_errors", "players")},
    }
    return to_json(document)
