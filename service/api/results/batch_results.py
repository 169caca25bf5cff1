"""What all explanations of a batch found: their arrays in one npz, their pictures in one figure."""

import io
from collections.abc import Mapping
from functools import partial
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api.protocol.errors import ApiError, retry_after
from service.api.protocol.responses import IF_NONE_MATCH, binary, shows_result
from service.api.reading import batch_documents
from service.api.reading.catalogue import BatchState
from service.api.results import artefacts
from service.api.results.attributions import MEDIA_TYPES
from service.api.results.figures import FIGURE, FigureLook, figure_of
from service.api.services import Provided, Services
from service.contract.arrays import Arrays
from service.contract.records import State
from service.contract.schema import ErrorCode, Status

MOST_VALUES = 100_000_000  # of one npz: 400 MB before it is compressed
NPZ = MEDIA_TYPES["npz"]
router = APIRouter(prefix="/v1/batches", tags=["results"])


@router.get(
    "/{batch_id}/attributions",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(ErrorCode.NOT_ACCEPTABLE, content=binary(NPZ), description="The arrays"),
)
async def get_batch_attributions(request: Request, services: Provided, batch_id: str) -> Response:
    """The attributions of the N pictures that succeeded in one npz, as shap has them.

    `values` (N, H, W, C, K), `base_values` (N, K), `data` (N, H, W, C), `output_names` and
    `output_indices` (N, K), of each picture its own; `ids` (N,) and `positions` (N,) say which.
    Where they are known also `standard_errors`, as values, and `players` (N, H, W).
    """
    batch = await services.catalogue.batch(batch_id)
    states = _succeeded(batch)
    results = [state.result for state in states.values()]
    etag = artefacts.etag_of(next(iter(states.values())), ("npz", results))
    make = partial(_pack, services, states)
    name = f"{batch_id}-attributions.npz"
    return await artefacts.answer(request, make, NPZ, name=name, etag=etag, limiter=services.heavy)


@router.get(
    "/{batch_id}/heatmap.png",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=FIGURE,
)
async def get_batch_heatmap(
    request: Request, services: Provided, batch_id: str, query: Annotated[FigureLook, Query()]
) -> Response:
    """The attributions of the pictures that succeeded as one PNG, a picture a row."""
    batch = await services.catalogue.batch(batch_id)
    return await figure_of(request, services, list(_succeeded(batch).values()), query)


def _succeeded(batch: BatchState) -> Mapping[int, State]:
    """Those that have a whole result, by position. Raises ApiError not_finished, no_result."""
    id_ = batch.batch.id
    if not batch.done:
        detail = "the batch is not done; there are results of all of it when it is"
        headers = retry_after(batch_documents.next_look_s(batch))
        raise ApiError(ErrorCode.NOT_FINISHED, detail, "id", id_, headers=headers)
    members = batch.members.items()
    found = {n: state for n, state in members if state.status is Status.SUCCEEDED}
    if not found:
        detail = "no explanation of the batch has succeeded"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", id_)
    return found


def _pack(services: Services, states: Mapping[int, State]) -> bytes:
    """The npz of all of them. Blocking. Raises ApiError, StoreError."""
    rows: list[Arrays] = []
    for state in states.values():
        rows.append(artefacts.load_arrays(services, state))
        _check(rows, len(states))
    names = [name for name in rows[0] if all(name in row for row in rows)]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        **{name: np.stack([row[name] for row in rows]) for name in names},
        ids=np.array([state.id for state in states.values()]),
        positions=np.array(list(states)),
    )
    return buffer.getvalue()


def _check(rows: list[Arrays], count: int) -> None:
    """They stack, and are not too much together. Raises ApiError."""
    first, last = rows[0]["values"], rows[-1]["values"]
    if first.shape != last.shape:
        detail = f"their shapes differ ({first.shape}, {last.shape}): the model was changed between"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id")
    if count * first.size > MOST_VALUES:
        detail = f"one npz may have {MOST_VALUES} values; ask for each explanation's"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "id", count * first.size)
