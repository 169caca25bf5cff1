"""Handles a request that submits pictures: reads the upload, submits it, returns its id."""

from dataclasses import replace

from fastapi import Request

from service.api.http.conditional import CachePolicy
from service.api.services import RequestServices
from service.api.submission.idempotency import submit_once
from service.api.submission.submit import Submit
from service.api.uploads.upload import UploadFormat, read_upload


async def receive(
    request: Request,
    services: RequestServices,
    id_: str,
    upload_format: UploadFormat,
    submit: Submit,
) -> str:
    """Submits the upload; returns id_, or the id of an earlier request with the same key.

    The upload's memory is freed on return, before the client starts waiting.
    """
    key = request.headers.get("idempotency-key")
    with services.process.upload_memory.reserve() as reserve:
        upload = await read_upload(
            request, services.process.settings, reserve, upload_format, services.process.outbound
        )
        upload = replace(upload, caching=CachePolicy.of(request))
        return await submit_once(services, key, upload, id_, submit)
