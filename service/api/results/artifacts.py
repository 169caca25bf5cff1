"""Shared by all results: the outcome, the selected outputs, stored artifacts, file responses."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import structlog
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.responses import Response

from service import render
from service.api.http.conditional import not_modified
from service.api.http.heavy_calls import HeavyCalls
from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError, retry_after
from service.api.results.streaming import Open, Stream
from service.api.services import ProcessServices
from service.api.state import serializers
from service.api.submission.result_cache import note_missing
from service.images.decoding import PictureError, decode_picture
from service.infra import result_arrays
from service.infra.artifact_store import (
    DamagedArtifactError,
    MissingArtifactError,
    attributions_key,
    faithfulness_key,
    image_key,
    label_map_key,
)
from service.infra.artifacts import Artifact, AttemptArtifacts, read_in_chunks, read_whole
from service.infra.result_arrays import Arrays
from service.jobs.records import State
from service.schemas.documents import ClassName, ErrorCode, LabelMapInfo
from service.schemas.regions import MAX_NUMBERS, MAX_REGIONS
from service.schemas.results import Curve, Faithfulness, Outcome

PNG = "image/png"
OUTPUTS_BYTES = 2**20  # of arrays by output, read at a time
log = structlog.get_logger(__name__)
REVIEWED = "private, no-cache"  # Cache-Control of what changes with a review
FRESH_S = 86400  # seconds of max-age; a result never changes, but may be deleted


def drawing_routes(
    router: APIRouter, path: str, *codes: ErrorCode, description: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers an endpoint under the path with .png, .svg and .pdf; codes: of its problems."""

    def register(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        for form, media_type in render.FORMATS.items():
            name = endpoint.__name__
            router.get(
                f"{path}.{form}",
                name=name if form == "png" else f"{name}_{form}",
                response_class=Response,
                openapi_extra={"parameters": [IF_NONE_MATCH]},
                responses=shows_result(*codes, content=binary(media_type), description=description),
            )(endpoint)
        return endpoint

    return register


def format_of(request: Request) -> render.Format:
    """Returns the format of a drawing that the path names."""
    suffix = request.url.path.rpartition(".")[2]
    return next(form for form in render.FORMATS if form == suffix)


def outcome_of(state: State) -> Outcome:
    """Returns the outcome of a stored result. Raises ApiError not_finished, no_result."""
    if not state.status.done:
        detail = f"the explanation is {state.status.value}; its result is available when it is done"
        headers = retry_after(serializers.retry_after_s(state))
        raise ApiError(ErrorCode.NOT_FINISHED, detail, "id", state.id, headers=headers)
    if state.outcome is None or state.result is None:
        reason = state.error.detail if state.error else "it ended before anything was computed"
        detail = f"the explanation is {state.status.value} and has no result: {reason}"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    return state.outcome


def region_count(state: State) -> int:
    """Returns how many regions the result has. Raises ApiError as outcome_of; no_result."""
    count = outcome_of(state).region_count
    if count is None:
        detail = (
            f"the explanation has more than {MAX_REGIONS} regions, or {MAX_NUMBERS} numbers of "
            "regions over all outputs; its attributions give a value for each pixel"
        )
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    return count


def output_positions(outcome: Outcome, wanted: Sequence[str]) -> list[int]:
    """Returns the positions of outputs given by index or label; of all, if none is given.

    Raises ApiError unknown_output.
    """
    indices = [str(output.index) for output in outcome.outputs]
    labels = [output.label for output in outcome.outputs]
    positions = []
    for name in wanted:
        if name in indices:
            positions.append(indices.index(name))
        elif labels.count(name) == 1:
            positions.append(labels.index(name))
        else:
            reason = "names several outputs" if name in labels else "was not explained"
            explained = [{"index": each.index, "label": each.label} for each in outcome.outputs]
            detail = f"output {name[:100]!r} {reason}"
            raise ApiError(ErrorCode.UNKNOWN_OUTPUT, detail, "output", name, explained)
    return list(dict.fromkeys(positions)) or list(range(len(labels)))


def load_arrays(
    services: ProcessServices,
    state: State,
    outputs: Sequence[int] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Arrays:
    """Reads the arrays of outputs by position; None: of all outputs.

    names: reads only these arrays, if present; None: all. Blocking. Raises ApiError, StoreError.
    """
    key, stored = attributions_key(state.id, str(state.result)), stored_artifacts(state)
    recorded = [(output.index, output.label) for output in outcome_of(state).outputs]
    with reading(services, state, "result"):
        return result_arrays.load_arrays(
            services.store, key, stored, recorded, outputs, names=names
        )


def check_outputs(services: ProcessServices, state: State) -> None:
    """Checks that the arrays have the recorded outputs, before any array is sent.

    Blocking. Raises ApiError, StoreError.
    """
    load_arrays(services, state, names=result_arrays.RECORD_ENTRIES)


def by_output(
    services: ProcessServices, state: State, outputs: Sequence[int], name: str
) -> Iterator[NDArray[np.float32]]:
    """Yields an array (H, W, C) for each output in turn; reads a few of them at a time.

    Blocking. Raises ApiError, StoreError.
    """
    at_once = max(1, OUTPUTS_BYTES // (4 * prod(stored_artifacts(state).shape[:3])))
    for start in range(0, len(outputs), at_once):
        some = load_arrays(services, state, outputs[start : start + at_once], names=[name])[name]
        yield from (some[..., k] for k in range(some.shape[3]))


def load_attributions(
    services: ProcessServices, state: State, outputs: Sequence[int] | None = None
) -> render.Attributions:
    """Reads the arrays to draw, by position; None: all outputs. Raises as load_arrays."""
    with reading(services, state, "result"):
        arrays = load_arrays(services, state, outputs, names=(*render.NAMES, *render.REGION_NAMES))
        names = output_names(outcome_of(state))  # unique among all outputs, drawn or not
        shown = [names[int(index)] for index in arrays["output_indices"]]
        return render.attributions_of(arrays | {"output_names": np.array(shown)})


def true_class(state: State, named: str | None = None) -> ClassName | None:
    """Returns the true class: the output that is named, else that of the request, if it has one.

    Names are compared apart from case, spaces and underscores; the index is -1 if no explained
    output has the name.
    """
    if named is None:
        return state.spec.true_label if state.spec else None
    indices = (each.index for each in outcome_of(state).outputs if _same(each.label, named))
    return ClassName(index=next(indices, -1), label=named)


def _same(one: str, other: str) -> bool:
    one, other = (" ".join(each.replace("_", " ").split()).casefold() for each in (one, other))
    return one == other


def output_names(outcome: Outcome) -> dict[int, str]:
    """Returns unique names of the outputs, by index."""
    labels = [output.label for output in outcome.outputs]
    indices = [output.index for output in outcome.outputs]
    return dict(zip(indices, render.disambiguate(labels, indices), strict=True))


def read_npz(services: ProcessServices, state: State) -> tuple[int, Iterator[bytes]]:
    """Returns size and chunks of the npz as the worker stored it.

    Verifies the stored bytes before it returns. This call and each chunk block. Raises ApiError,
    StoreError; the chunks raise StoreError.
    """
    check_outputs(services, state)
    key, npz = attributions_key(state.id, str(state.result)), stored_artifacts(state).attributions
    with reading(services, state, "result"):
        chunks = read_in_chunks(services.store, key, npz)
        first = next(chunks)
    return npz.size, chain([first], chunks)


def load_curves(services: ProcessServices, state: State) -> list[Curve]:
    """Reads the faithfulness curves. Blocking. Raises ApiError, StoreError."""
    recorded = stored_artifacts(state).faithfulness
    with reading(services, state, "result"):
        key = faithfulness_key(state.id, str(state.result))
        if recorded is None:
            raise MissingArtifactError(f"{key!r} was not stored")
        stored = read_whole(services.store, key, recorded)
        try:
            curves = Faithfulness.model_validate_json(stored).curves
        except ValidationError as error:
            raise DamagedArtifactError(f"{key!r} holds no curves") from error
        areas = [each.model_dump(exclude={"x", "y", "baseline"}) for each in curves]
        if areas != [area.model_dump() for area in outcome_of(state).metrics]:
            raise DamagedArtifactError(f"the curves of {key!r} differ from the record")
        if any(not len(each.x) == len(each.y) == len(each.baseline) > 0 for each in curves):
            raise DamagedArtifactError(f"{key!r} holds curves that are empty or of uneven lengths")
    return curves


def load_upload(services: ProcessServices, state: State) -> bytes:
    """Reads the uploaded picture. Blocking. Raises ApiError, StoreError."""
    with reading(services, state, "picture"):
        if state.spec is None:
            raise MissingArtifactError(f"the spec of {state.id} has expired")
        image = state.spec.image
        picture = Artifact(size=image.bytes, sha256=image.sha256)
        return read_whole(services.store, image_key(state.id), picture)


def load_photo(services: ProcessServices, state: State) -> NDArray[np.uint8]:
    """Reads and decodes the uploaded picture, (H, W, 3), upright.

    Blocking. Raises ApiError, StoreError.
    """
    content = load_upload(services, state)
    try:
        return decode_picture(content, max_pixels=services.settings.max_pixels).pixels
    except PictureError as error:  # e.g. accepted under a higher limit than now
        log.error("picture not decoded", id=state.id, reason=str(error))
        detail = f"the picture cannot be drawn: {error}"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id") from error


def load_label_map(services: ProcessServices, state: State, label_map: LabelMapInfo) -> bytes:
    """Reads the uploaded label map. Blocking. Raises ApiError, StoreError."""
    recorded = Artifact(size=label_map.bytes, sha256=label_map.sha256)
    with reading(services, state, "label map"):
        return read_whole(services.store, label_map_key(state.id), recorded)


def stored_artifacts(state: State) -> AttemptArtifacts:
    """Returns the records of the result's artifacts. Raises ApiError."""
    if state.artifacts is None:
        detail = "the result was stored by an earlier version of Shapshot and cannot be read"
        raise ApiError(ErrorCode.NO_RESULT, detail, "id", state.id)
    return state.artifacts


@contextmanager
def reading(services: ProcessServices, state: State, what: str) -> Iterator[None]:
    """Converts the error of a missing, damaged or undrawable artifact to ApiError.

    Raises StoreError if it is the wrong store.
    """
    try:
        yield
    except (
        MissingArtifactError,
        render.InvalidAttributionsError,
        render.InvalidCurvesError,
    ) as error:
        if not isinstance(error, MissingArtifactError):
            error = DamagedArtifactError(f"the {what} of {state.id} cannot be drawn: {error}")
        note_missing(services, state, error)
        reason = "no longer in the store"
        if isinstance(error, DamagedArtifactError):
            reason = "damaged in the store; request the explanation again to compute it anew"
        raise ApiError(ErrorCode.NO_RESULT, f"the {what} is {reason}", "id", state.id) from error


def etag_of(state: State, variant: object) -> str:
    """Returns a weak ETag of one representation of one attempt's result."""
    digest = hashlib.sha256(repr(variant).encode()).hexdigest()
    return f'W/"{state.result}.{digest[:16]}"'


async def respond(
    request: Request,
    make: Callable[[], bytes],
    media_type: str,
    *,
    name: str,
    etag: str,
    heavy: HeavyCalls,
    held: int,
) -> Response:
    """Responds with the file that `make` returns, or 304. Calls `make` in a thread.

    held: bytes of memory that `make` needs.
    """
    if unchanged := not_modified(request, etag):
        return unchanged
    content = await heavy.run(make, held=held)
    return Response(content, headers=file_headers(name, etag), media_type=media_type)


def stream(
    request: Request,
    services: ProcessServices,
    open_: Open,
    media_type: str,
    *,
    name: str,
    etag: str,
    held: int,
) -> Response:
    """Responds with a file that is made while it is sent, or 304; see Stream."""
    if unchanged := not_modified(request, etag):
        return unchanged
    headers, answers = file_headers(name, etag), services.response_memory
    return Stream(open_, held=held, answers=answers, headers=headers, media_type=media_type)


def file_headers(name: str, etag: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Cache-Control": f"private, max-age={FRESH_S}, immutable",
        "Content-Disposition": f'inline; filename="{name}"',
        "Vary": "Accept",
    }
