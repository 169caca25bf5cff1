"""The files that the client sent, unchanged: picture and label map. And a thumbnail."""

import io
import re
from functools import partial
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.http.conditional import not_modified
from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.http.problems import ApiError
from service.api.results import artifacts
from service.api.results.artifacts import FRESH_S, PNG
from service.api.results.drawing_size import PHOTO_BYTES
from service.api.services import ProcessServices, RequestServicesDep
from service.images.label_maps import is_npy
from service.jobs.records import JobSpec, State
from service.schemas.documents import ErrorCode

router = APIRouter(prefix="/v1/explanations", tags=["results"])

# A browser that opens such a file as a page runs nothing in it
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


class FileType(NamedTuple):
    """A media type, and the extensions of its files, the usual first."""

    media_type: str
    extensions: tuple[str, ...]


PICTURES = {  # by format
    "JPEG": FileType("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": FileType(PNG, (".png",)),
    "WEBP": FileType("image/webp", (".webp",)),
    "GIF": FileType("image/gif", (".gif",)),
    "BMP": FileType("image/bmp", (".bmp", ".dib")),
    "TIFF": FileType("image/tiff", (".tif", ".tiff")),
    "PPM": FileType("image/x-portable-anymap", (".ppm", ".pgm", ".pbm", ".pnm")),
    "AVIF": FileType("image/avif", (".avif",)),
    "HEIF": FileType("image/heif", (".heic", ".heif", ".hif")),
}
NPY = FileType("application/x-npy", (".npy",))
UNKNOWN = FileType("application/octet-stream", (".bin",))


class ThumbnailQuery(BaseModel):
    """The size of a thumbnail."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(
        128, ge=16, le=512, description="Longer side in pixels; a smaller picture keeps its size"
    )


@router.get(
    "/{explanation_id}/picture",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        content=binary(*(kind.media_type for kind in PICTURES.values())),
        description="The picture, byte for byte",
    ),
)
async def get_picture(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get the picture as it was sent, whether or not the explanation is done."""
    state = await services.repository.read(explanation_id)
    image, process = _spec_of(state).image, services.process
    etag = f'"{image.sha256}"'
    if unchanged := not_modified(request, etag):
        return unchanged
    read = partial(artifacts.load_upload, process, state)
    content = await process.heavy_calls.run(read, held=image.bytes)
    kind = PICTURES.get(image.format, UNKNOWN)
    return _file(content, kind, etag, image.name or f"{state.id}-picture")


@router.get(
    "/{explanation_id}/label_map",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        content=binary(PNG, NPY.media_type), description="The label map, byte for byte"
    ),
)
async def get_label_map(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get the label map as it was sent, whether or not the explanation is done."""
    state = await services.repository.read(explanation_id)
    label_map, process = _spec_of(state).label_map, services.process
    if label_map is None:
        detail = "the explanation has no label map"
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", explanation_id)
    etag = f'"{label_map.sha256}"'
    if unchanged := not_modified(request, etag):
        return unchanged
    read = partial(artifacts.load_label_map, process, state, label_map)
    content = await process.heavy_calls.run(read, held=label_map.bytes)
    kind = NPY if is_npy(content) else PICTURES["PNG"]
    return _file(content, kind, etag, f"{state.id}-label_map")


@router.get(
    "/{explanation_id}/thumbnail.png",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        ErrorCode.INVALID_PARAMETER, content=binary(PNG), description="The thumbnail"
    ),
)
async def get_thumbnail(
    request: Request,
    services: RequestServicesDep,
    explanation_id: str,
    query: Annotated[ThumbnailQuery, Query()],
) -> Response:
    """Draw the picture small and upright, whether or not the explanation is done."""
    state = await services.repository.read(explanation_id)
    image = _spec_of(state).image
    return await artifacts.respond(
        request,
        partial(_thumbnail, services.process, state, query.size),
        PNG,
        name=f"{state.id}-thumbnail.png",
        etag=f'W/"{image.sha256}.{query.size}.{request.app.version}"',
        heavy=services.process.heavy_calls,
        held=image.bytes + image.width * image.height * PHOTO_BYTES,
    )


def _spec_of(state: State) -> JobSpec:
    if state.spec is None:
        raise ValueError(f"{state.id} has expired")
    return state.spec


def _thumbnail(services: ProcessServices, state: State, size: int) -> bytes:
    photo = Image.fromarray(artifacts.load_photo(services, state))
    photo.thumbnail((size, size), reducing_gap=2.0)
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue()


def _file(content: bytes, kind: FileType, etag: str, name: str) -> Response:
    """Responds with a file under its name, which gets an extension of its true type.

    Otherwise a picture that is called page.html would be saved as a page.
    """
    if not name.lower().endswith(kind.extensions):
        name += kind.extensions[0]
    plain = re.sub(r"[^\w. ()+-]", "_", name, flags=re.ASCII)
    disposition = f'inline; filename="{plain}"'
    if plain != name:
        encoded = quote(name, safe="", errors="replace")
        disposition += f"; filename*=UTF-8''{encoded}"  # RFC 6266
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={FRESH_S}, immutable",
        "Content-Disposition": disposition,
        "Content-Security-Policy": POLICY,
    }
    return Response(content, headers=headers, media_type=kind.media_type)
