"""From a request that asks for explanations to the id by which they are known."""

from dataclasses import replace

from fastapi import Request

from service.api.http.conditional import Caching
from service.api.services import RequestServices
from service.api.submission.idempotency import admit_once
from service.api.submission.submit import Admit
from service.api.uploads.upload import Submission, read_upload


async def receive(
    request: Request, services: RequestServices, id_: str, submission: Submission, admit: Admit
) -> str:
    """Admit what is sent, by this id; the id it has. It is let go here: nobody waits with it."""
    key = request.headers.get("idempotency-key")
    with services.process.bodies.holding() as hold:
        upload = await read_upload(request, services.process.settings, hold, submission)
        upload = replace(upload, caching=Caching.of(request))
        return await admit_once(services, key, upload, id_, admit)
