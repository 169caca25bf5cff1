"""The body of a request to explain -> the bytes of its files and the settings, within limits."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.api import strict_json
from service.api.caching import Caching
from service.api.errors import ApiError
from service.api.validation import refusal
from service.contract.request import (
    MOST_IN_BATCH,
    BatchRequest,
    ExplanationRequest,
    ExplanationSettings,
)
from service.contract.schema import ErrorCode

MULTIPART, JSON = "multipart/form-data", "application/json"
PARTS = ("image", "label_map", "settings")
MAX_SETTINGS_BYTES = 2**20
MOST_FILES = 2 * MOST_IN_BATCH  # that are looked at, to say how many there may be


@dataclass(frozen=True)
class Upload:
    """What a client sent, checked as far as no model is needed for it.

    images: by the name that problems give them: `image` for the one of an explanation, and
    `images.0`, `images.1` … for those of a batch, in the order of upload.
    """

    images: Mapping[str, bytes]
    settings: ExplanationSettings
    label_map: bytes | None = None
    caching: Caching = Caching.USE


async def read_upload(request: Request, *, max_bytes: int, batch: bool = False) -> Upload:
    """Read the body in either form: of an explanation, or of a batch. Raises ApiError."""
    body = _limited(request, max_bytes)
    received = request.headers.get("content-type", "")
    media_type = received.partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        return await _from_multipart(request, body, batch=batch)
    if media_type == JSON:
        content = b"".join([chunk async for chunk in body])
        return await to_thread.run_sync(_from_json, content, batch)
    raise ApiError(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        f"a request comes as {MULTIPART} or {JSON}",
        "Content-Type",
        received or None,
        [MULTIPART, JSON],
    )


async def _limited(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The body as it arrives, refused at the first byte too many or before any of it."""
    declared = request.headers.get("content-length", "")
    _check_length(int(declared) if declared.isdecimal() else 0, max_bytes)
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        _check_length(length, max_bytes)
        yield chunk


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        detail = f"a request body may have {max_bytes} bytes"
        raise ApiError(
            ErrorCode.TOO_LARGE, detail, "body", f"{length} bytes or more", {"maximum": max_bytes}
        )


# --- multipart/form-data


class _Parser(MultiPartParser):
    """Starlette's parser, which takes a body without an end for a whole one."""

    _complete = False

    def on_end(self) -> None:
        self._complete = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if self._complete:
            return form
        for file in self._files_to_close_on_error:
            file.close()
        raise MultiPartException("it has no closing boundary")


async def _from_multipart(request: Request, body: Any, *, batch: bool) -> Upload:
    form = await _parse(request, body)
    try:
        _check_names(form, repeated="image" if batch else None)
        pictures = form.getlist("image")
        names = _names(len(pictures)) if batch else ["image"]
        label_map = form.get("label_map")
        return Upload(
            images={name: await _file(name, part) for name, part in zip_longest(names, pictures)},
            settings=_parse_settings(await _text(form.get("settings", "{}"))),
            label_map=await _file("label_map", label_map) if label_map is not None else None,
        )
    finally:
        await form.close()


async def _parse(request: Request, body: Any) -> FormData:
    parser = _Parser(
        request.headers, body, max_files=MOST_FILES, max_fields=8, max_part_size=MAX_SETTINGS_BYTES
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise ApiError(ErrorCode.BAD_REQUEST, f"malformed multipart: {error.message}") from error


def _names(pictures: int) -> list[str]:
    """What the pictures of a batch are called in problems."""
    if not 1 <= pictures <= MOST_IN_BATCH:
        detail = f"a batch has 1 to {MOST_IN_BATCH} pictures"
        bounds = {"minItems": 1, "maxItems": MOST_IN_BATCH}
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "images", pictures, bounds)
    return [f"images.{position}" for position in range(pictures)]


def _check_names(form: FormData, *, repeated: str | None) -> None:
    names = [name for name, _ in form.multi_items()]
    for name in names:
        if name not in PARTS:
            detail = f"a request has the parts {', '.join(PARTS)}"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name[:100], name, list(PARTS))
        if names.count(name) > 1 and name != repeated:
            raise ApiError(ErrorCode.BAD_REQUEST, f"the part {name} came twice", name)


async def _file(name: str, part: UploadFile | str | None) -> bytes:
    if isinstance(part, UploadFile):
        return await part.read()
    said = "is missing" if part is None else "came without a filename, as text"
    raise ApiError(ErrorCode.BAD_REQUEST, f"the file part {name} {said}", name)


async def _text(part: UploadFile | str) -> bytes | str:
    if isinstance(part, str):
        return part
    if part.size and part.size > MAX_SETTINGS_BYTES:
        detail = f"settings may have {MAX_SETTINGS_BYTES} bytes"
        raise ApiError(ErrorCode.TOO_LARGE, detail, "settings", part.size)
    return await part.read()


def _parse_settings(text: bytes | str) -> ExplanationSettings:
    return _checked_settings(strict_json.loads(text, what="settings"))


# --- application/json


def _from_json(content: bytes, batch: bool) -> Upload:
    document = strict_json.loads(content, what="body")
    settings = document.pop("settings", {}) if isinstance(document, dict) else {}
    kind = BatchRequest if batch else ExplanationRequest
    try:
        request = kind.model_validate(document, strict=True)
    except ValidationError as error:
        raise refusal(error, kind, code=ErrorCode.BAD_REQUEST) from error
    label_map = request.label_map
    return Upload(
        images={name: _decode_base64(name, text) for name, text in _pictures(request).items()},
        settings=_checked_settings(settings),
        label_map=None if label_map is None else _decode_base64("label_map", label_map),
    )


def _pictures(request: BatchRequest | ExplanationRequest) -> dict[str, str]:
    if isinstance(request, ExplanationRequest):
        return {"image": request.image}
    return dict(zip(_names(len(request.images)), request.images, strict=True))


def _decode_base64(name: str, text: str) -> bytes:
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        detail = f"{name} is not base64: {error}"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, name, text[:80]) from error


def _checked_settings(document: Any) -> ExplanationSettings:
    try:
        return ExplanationSettings.model_validate(document, strict=True)
    except ValidationError as error:
        raise refusal(
            error, ExplanationSettings, code=ErrorCode.INVALID_SETTINGS, under="settings"
        ) from error
