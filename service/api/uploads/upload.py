"""Parses a request body into pictures, label map and settings, within limits."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from pydantic import ValidationError

from service.api.http import offload
from service.api.http.conditional import CachePolicy
from service.api.http.memory_budget import Reserve
from service.api.http.problems import ApiError
from service.api.http.validation import validation_problem
from service.api.outbound.sender import OutboundSender
from service.api.uploads import strict_json
from service.api.uploads.base64_text import decode_base64
from service.api.uploads.body import read_body
from service.api.uploads.file_names import clean_name
from service.api.uploads.multipart import Form, PartSpec, read_form
from service.api.uploads.picture_urls import PictureFetcher, field_of
from service.infra.settings.api import ApiSettings
from service.jobs.claims import IdempotencyClaim
from service.schemas.documents import ErrorCode
from service.schemas.requests import (
    MAX_IMAGES_IN_BATCH,
    MAX_URL,
    BatchSettings,
    ExplanationSettings,
)
from service.schemas.submissions import BatchRequest, ExplanationRequest

MULTIPART, JSON = "multipart/form-data", "application/json"
MAX_SETTINGS_BYTES = 2**20


@dataclass(frozen=True)
class Upload:
    """A client's upload, checked as far as possible without the model.

    images: by their names in problems: `image` for an explanation, `images.0`, `images.1` … for a
    batch, in the order of upload. file_names: of each image, None where the client gave none.
    """

    images: Mapping[str, bytes]
    file_names: Sequence[str | None]
    settings: ExplanationSettings
    label_map: bytes | None = None
    caching: CachePolicy = CachePolicy.USE
    claim: IdempotencyClaim | None = None
    reproduces: str | None = None  # id of the explanation that it runs again
    urls: Mapping[str, str] = field(default_factory=dict)  # of pictures to be fetched, by name


@dataclass(frozen=True)
class UploadFormat:
    """The parts or the document that an endpoint accepts, and the names of its pictures."""

    parts: Mapping[str, PartSpec]
    document: type[ExplanationRequest | BatchRequest]
    settings: type[ExplanationSettings]
    names: Callable[[int], list[str]]  # of that many pictures; raises ApiError


def _names_in_explanation(pictures: int) -> list[str]:
    if not pictures:
        raise ApiError(
            ErrorCode.BAD_REQUEST, "the part image is missing; send one picture as a file", "image"
        )
    return ["image"]


def _names_in_batch(pictures: int) -> list[str]:
    if not 1 <= pictures <= MAX_IMAGES_IN_BATCH:
        detail = f"a batch must have 1 to {MAX_IMAGES_IN_BATCH} pictures"
        bounds = {"minItems": 1, "maxItems": MAX_IMAGES_IN_BATCH}
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "images", pictures, bounds)
    return [f"images.{position}" for position in range(pictures)]


_PARTS = {
    "image": PartSpec(),
    "image_url": PartSpec(max_bytes=MAX_URL, is_file=False),
    "label_map": PartSpec(),
    "settings": PartSpec(max_bytes=MAX_SETTINGS_BYTES, is_file=False),
}
# one more than accepted, so that the error can state the limit
_SEVERAL = {
    "image": PartSpec(max_count=MAX_IMAGES_IN_BATCH + 1),
    "image_url": PartSpec(max_count=MAX_IMAGES_IN_BATCH + 1, max_bytes=MAX_URL, is_file=False),
}
EXPLANATION = UploadFormat(_PARTS, ExplanationRequest, ExplanationSettings, _names_in_explanation)
BATCH = UploadFormat(_PARTS | _SEVERAL, BatchRequest, BatchSettings, _names_in_batch)


async def read_upload(
    request: Request,
    settings: ApiSettings,
    reserve: Reserve,
    upload_format: UploadFormat,
    sender: OutboundSender,
) -> Upload:
    """Reads the body as a form or as JSON, and fetches pictures by URL. Raises ApiError."""
    upload = await _read_body(request, settings, reserve, upload_format)
    if not upload.urls:
        return upload
    fetched = await PictureFetcher(sender, settings, reserve).fetch(upload.urls)
    return replace(upload, images=fetched, urls={})


async def _read_body(
    request: Request, settings: ApiSettings, reserve: Reserve, upload_format: UploadFormat
) -> Upload:
    received = request.headers.get("content-type", "")
    media_type = received.partition(";")[0].strip().lower()
    if media_type not in (MULTIPART, JSON):
        detail, accepted = f"Content-Type must be {MULTIPART} or {JSON}", [MULTIPART, JSON]
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        raise ApiError(code, detail, "Content-Type", received or None, accepted)
    body = read_body(request, settings, reserve)
    if media_type == MULTIPART:
        form = await read_form(received, body, upload_format.parts)
        size = sum(map(len, form.get("settings", [])))
        return await offload.run(partial(_from_form, form, upload_format), size)
    content = b"".join([chunk async for chunk in body])
    return await offload.run(partial(_from_json, content, upload_format), len(content))


def _names(
    upload_format: UploadFormat, pictures: Sequence[object], urls: Sequence[str]
) -> list[str]:
    """Returns the names of the pictures, all of which are sent, or else named by URL."""
    if pictures and urls:
        named = field_of(upload_format.names(1)[0]).partition(".")[0]
        detail = "send pictures, or name them by URL; received both"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, named)
    return upload_format.names(len(pictures) or len(urls))


def _name_in(url: str | None) -> str:
    """Returns the file name in a URL, '' if it has none."""
    return unquote(re.split("[?#]", url or "")[0].rpartition("/")[2])


# --- multipart/form-data


def _from_form(form: Form, upload_format: UploadFormat) -> Upload:
    pictures = form.get("image", [])
    urls = [each.decode(errors="replace") for each in form.get("image_url", [])]
    names = _names(upload_format, pictures, urls)
    file_names = form.file_names["image"] or [_name_in(url) for url in urls]
    [settings] = form.get("settings", [b"{}"])
    [label_map] = form.get("label_map", [None])
    return Upload(
        images=dict(zip(names, pictures, strict=False)),
        urls=dict(zip(names, urls, strict=False)),
        file_names=[clean_name(each) for each in file_names],
        settings=_checked_settings(
            strict_json.loads(settings, what="settings"), upload_format.settings
        ),
        label_map=label_map,
    )


# --- application/json


def _from_json(content: bytes, upload_format: UploadFormat) -> Upload:
    document = strict_json.loads(content, what="body")
    settings = document.pop("settings", {}) if isinstance(document, dict) else {}
    kind = upload_format.document
    try:
        request = kind.model_validate(document, strict=True)
    except ValidationError as error:
        raise validation_problem(error, kind, code=ErrorCode.BAD_REQUEST) from error
    urls, label_map = request.urls, request.label_map
    names = _names(upload_format, request.pictures, urls)
    file_names = [name or _name_in(url) for name, url in zip_longest(request.file_names, urls)]
    return Upload(
        images={
            name: decode_base64(name, text)
            for name, text in zip(names, request.pictures, strict=False)
        },
        urls=dict(zip(names, urls, strict=False)),
        file_names=[clean_name(each) for each in file_names],
        settings=_checked_settings(settings, upload_format.settings),
        label_map=None if label_map is None else decode_base64("label_map", label_map),
    )


def _checked_settings(document: Any, kind: type[ExplanationSettings]) -> ExplanationSettings:
    try:
        return kind.model_validate(document, strict=True)
    except ValidationError as error:
        raise validation_problem(
            error, kind, code=ErrorCode.INVALID_SETTINGS, under="settings"
        ) from error
