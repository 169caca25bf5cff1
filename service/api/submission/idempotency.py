"""`Idempotency-Key`: a repeated request returns what the first one made.

Redis keeps the request's fingerprint and what was made under a hash of owner and key. The claim is
written in the same step that makes it: a process that dies earlier leaves the key free. Of
concurrent requests one makes it, and all return it.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from anyio import to_thread
from fastapi import Request
from pydantic import BaseModel

from service.api.http.problems import ApiError
from service.api.services import ProcessServices, RequestServices
from service.api.submission.submit import Submit
from service.api.uploads.upload import Upload
from service.jobs.claims import AlreadyClaimedError, IdempotentRequest
from service.jobs.redis_keys import as_text
from service.schemas.documents import ErrorCode

T = TypeVar("T")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def submit_once(
    services: RequestServices, key: str | None, upload: Upload, id_: str, submit: Submit
) -> str:
    """Submits the upload, or returns the id accepted with this key before. Raises ApiError."""
    if key is None:
        await submit(services, upload, id_)
        return id_

    async def accept(request: IdempotentRequest | None) -> str:
        claim = request.claim(id_) if request else None
        await submit(services, replace(upload, claim=claim), id_)
        return id_

    async def find(accepted: str) -> str | None:
        exists = services.process.submissions.exists
        return accepted if await to_thread.run_sync(exists, accepted) else None

    return await make_once(services, _request(services, key, _fingerprint(upload)), accept, find)


def idempotent_request(
    request: Request, services: RequestServices, *asked: str | BaseModel
) -> IdempotentRequest | None:
    """Returns the request with its key; None if it has no key. Raises ApiError bad_request.

    asked: what tells it from other requests: its kind, ids of the path, the body.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    parts = [part if isinstance(part, str) else part.model_dump(mode="json") for part in asked]
    canonical = json.dumps(parts, sort_keys=True)
    return _request(services, key, hashlib.sha256(canonical.encode()).hexdigest())


async def make_once(
    services: RequestServices,
    request: IdempotentRequest | None,
    make: Callable[[IdempotentRequest | None], Awaitable[str]],
    find: Callable[[str], Awaitable[T | None]],
) -> T:
    """Makes what the request asks for, unless its key made it before; returns it. Raises ApiError.

    make: makes it together with the claim, and returns the text by which `find` finds it; raises
    AlreadyClaimedError. find: returns None for what was deleted.
    """
    while True:
        made = None
        if request:
            made = await to_thread.run_sync(_made_before, services.process, request)
        try:
            if made is None:
                made = await make(request)
            break
        except AlreadyClaimedError:  # by a concurrent request
            continue
    found = await find(made)
    if found is None:
        detail = "what the request with this Idempotency-Key made was deleted or replaced"
        raise ApiError(ErrorCode.GONE, detail, "Idempotency-Key")
    return found


def _request(services: RequestServices, key: str, fingerprint: str) -> IdempotentRequest:
    if not _KEY.fullmatch(key):
        detail = "Idempotency-Key must have 1 to 255 printable ASCII characters"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "Idempotency-Key", key)
    hashed = hashlib.sha256(f"{services.caller.name or ''} {key}".encode()).hexdigest()
    seconds = services.process.settings.idempotency_s
    return IdempotentRequest(f"shapshot:idempotency:{hashed}", fingerprint, seconds)


def _fingerprint(upload: Upload) -> str:
    canonical = json.dumps(upload.settings.model_dump(mode="json"), sort_keys=True)
    files = [*upload.images.values(), upload.label_map or b""]
    hashes = [hashlib.sha256(content).hexdigest() for content in files]
    parts = [*upload.images, *hashes, canonical, *filter(None, [upload.reproduces])]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _made_before(services: ProcessServices, request: IdempotentRequest) -> str | None:
    """Returns what was made with this key; None for a new key. Blocking. Raises ApiError."""
    found = services.redis.get(request.key)
    if found is None:
        return None
    fingerprint, _, made = as_text(found).partition(" ")
    if fingerprint != request.fingerprint:
        detail = (
            "this Idempotency-Key was used before with other files or settings, or for something "
            "else"
        )
        raise ApiError(ErrorCode.IDEMPOTENCY_MISMATCH, detail, "Idempotency-Key")
    return made
