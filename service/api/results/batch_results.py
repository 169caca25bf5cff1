"""Results of a whole batch: its arrays as one npz, its pictures as one figure."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.responses import Response

from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError, retry_after
from service.api.http.send_in_pieces import PIECE_BYTES
from service.api.results import artifacts
from service.api.results.array_formats import NpzMember, npz, rows
from service.api.results.attributions import MEDIA_TYPES
from service.api.results.figures import FigureOptions, figure_of
from service.api.services import ProcessServices, RequestServicesDep
from service.api.state import batch_serializers
from service.api.state.repository import BatchState
from service.infra.result_arrays import BLOCK_ENTRIES, REGION_ENTRIES, REGION_ERROR_ENTRIES
from service.jobs.records import State
from service.schemas.documents import ErrorCode, Status
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES

MAX_VALUES = 100_000_000  # of one npz: 400 MB before it is compressed
LARGE = ("values", "standard_errors", "data", "players", "regions")
# arrays (R, …)
TABLES = (*(name for name in REGION_ENTRIES if name != "regions"), *REGION_ERROR_ENTRIES)
SMALL = ("base_values", "output_names", "output_indices", *MODEL_ENTRIES, *COMPARED_ENTRIES)
NPZ = MEDIA_TYPES["npz"]
router = APIRouter(prefix="/v1/batches", tags=["results"])


@router.get(
    "/{batch_id}/attributions",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(ErrorCode.NOT_ACCEPTABLE, content=binary(NPZ), description="The arrays"),
)
async def get_batch_attributions(
    request: Request, services: RequestServicesDep, batch_id: str
) -> Response:
    """Get the attributions of the N pictures that succeeded as one npz, in the layout of shap.

    It holds `values` (N, H, W, C, K), `base_values` (N, K), `data` (N, H, W, C), `output_names` and
    `output_indices` (N, K), which may differ between pictures, `ids` (N,) and `positions` (N,).
    Arrays known for all pictures are included too: `standard_errors` (N, H, W, C, K), `players`
    (N, H, W), and `regions`, (N, H, W) or (N, H, W, C), with `region_counts` (N,) and the arrays
    `region_…` (N, R, …), where R is the largest count. Entries beyond a picture's count are NaN; in
    `region_players`, 0. Interactions are in the arrays of each explanation alone. `model_name`,
    `model_fingerprint` and `model_parts` (JSON) are (N,).
    """
    batch = await services.repository.batch(batch_id)
    states = succeeded(batch)
    shapes = [artifacts.stored_artifacts(state).shape for state in states.values()]
    shape = shapes[0]
    if other := next((each for each in shapes if each != shape), None):
        detail = f"attributions differ in shape ({shape}, {other}): the model changed in between"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id")
    if (count := len(shapes) * prod(shape)) > MAX_VALUES:
        detail = f"an npz is limited to {MAX_VALUES} values; request each explanation's instead"
        raise ApiError(ErrorCode.NOT_ACCEPTABLE, detail, "id", count)
    outcomes = [state.outcome for state in states.values() if state.outcome]
    largest_table = max((each.region_count or 0) * len(each.outputs) for each in outcomes)
    results = [state.result for state in states.values()]
    return artifacts.stream(
        request,
        services.process,
        lambda: (None, npz(_members(services.process, states))),
        NPZ,
        name=f"{batch_id}-attributions.npz",
        etag=artifacts.etag_of(next(iter(states.values())), ("npz", results)),
        # the arrays of one picture
        held=4 * prod(shape) + 8 * PIECE_BYTES + 6 * 8 * largest_table,
    )


@artifacts.drawing_routes(
    router, "/{batch_id}/heatmap", ErrorCode.INVALID_PARAMETER, description="The figure"
)
async def get_batch_heatmap(
    request: Request,
    services: RequestServicesDep,
    batch_id: str,
    query: Annotated[FigureOptions, Query()],
) -> Response:
    """Draw the attributions of the pictures that succeeded as one PNG, SVG or PDF, one row each."""
    batch = await services.repository.batch(batch_id)
    return await figure_of(request, services.process, list(succeeded(batch).values()), query)


def succeeded(batch: BatchState) -> Mapping[int, State]:
    """Returns the explanations that succeeded, by position.

    Raises ApiError not_finished, no_result.
    """
    id_ = batch.batch.id
    if not batch.done:
        detail = "the batch is not done; its results are available when it is"
        headers = retry_after(batch_serializers.retry_after_s(batch))
        raise ApiError(ErrorCode.NOT_FINISHED, detail, "id", id_, headers=headers)
    members = batch.members.items()
    found = {n: state for n, state in members if state.status is Status.SUCCEEDED}
    if not found:
        detail = "no explanation of the batch has succeeded"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", id_)
    return found


def _members(services: ProcessServices, states: Mapping[int, State]) -> Iterator[NpzMember]:
    """Yields the arrays that all explanations have, stacked; reads large ones one by one."""

    def content(name: str) -> Iterator[bytes]:
        for state in states.values():
            yield from rows(artifacts.load_arrays(services, state, names=[name])[name])

    for state in states.values():
        artifacts.check_outputs(services, state)
    kinds = []  # of each explanation: shape and dtype of its large arrays
    for state in states.values():
        arrays = artifacts.load_arrays(services, state, [0], names=LARGE)  # of one output
        K = artifacts.stored_artifacts(state).shape[3]
        kinds.append(
            {
                name: ((*array.shape[:3], K) if name in BLOCK_ENTRIES else array.shape, array.dtype)
                for name, array in arrays.items()
            }
        )
    for name, (shape, dtype) in kinds[0].items():
        if all(kind.get(name) == (shape, dtype) for kind in kinds):
            yield NpzMember(name, (len(states), *shape), dtype, content(name))
    yield from _tables(services, states)
    small = [artifacts.load_arrays(services, each, names=SMALL) for each in states.values()]
    for name in SMALL:
        if all(name in arrays for arrays in small):
            yield NpzMember.of(name, np.stack([arrays[name] for arrays in small]))
    yield NpzMember.of("ids", np.array([state.id for state in states.values()]))
    yield NpzMember.of("positions", np.array(list(states)))


def _tables(services: ProcessServices, states: Mapping[int, State]) -> Iterator[NpzMember]:
    """Yields the stacked region tables; nothing if an explanation has too many regions for one."""
    counts = [state.outcome.region_count for state in states.values() if state.outcome]
    known = [count for count in counts if count is not None]
    if len(known) < len(states):
        return

    def table(name: str, state: State) -> NDArray[Any]:
        found = artifacts.load_arrays(services, state, names=[name])[name]
        beyond = [(0, max(known) - len(found)), *[(0, 0)] * (found.ndim - 1)]
        return np.pad(found, beyond, constant_values=np.nan if found.dtype.kind == "f" else 0)

    def content(name: str) -> Iterator[bytes]:
        for state in states.values():
            yield from rows(table(name, state))

    yield NpzMember.of("region_counts", np.array(known))
    names = [set(artifacts.load_arrays(services, each, names=TABLES)) for each in states.values()]
    for name in sorted(set.intersection(*names), key=TABLES.index):
        first = table(name, next(iter(states.values())))
        yield NpzMember(name, (len(states), *first.shape), first.dtype, content(name))
