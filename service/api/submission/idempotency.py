"""`Idempotency-Key`: a repeated request returns the explanation or batch of the first one.

Redis keeps the request's fingerprint and id under a hash of owner and key. The claim is written in
the same step that accepts the job: a process that dies earlier leaves the key free. Of concurrent
requests one is accepted, and all return its id.
"""

import hashlib
import json
import re
from dataclasses import replace

from anyio import to_thread

from service.api.auth.principal import Principal
from service.api.http.problems import ApiError
from service.api.services import ProcessServices, RequestServices
from service.api.submission.submit import Submit
from service.api.uploads.upload import Upload
from service.jobs.records import IdempotencyClaim
from service.jobs.redis_keys import as_text
from service.jobs.submissions import AlreadyClaimedError
from service.schemas.documents import ErrorCode

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def submit_once(
    services: RequestServices, key: str | None, upload: Upload, id_: str, submit: Submit
) -> str:
    """Submits the upload, or returns the id accepted with this key before. Raises ApiError."""
    if key is None:
        await submit(services, upload, id_)
        return id_
    name, fingerprint = _name(services.caller, key), _fingerprint(upload)
    if earlier := await to_thread.run_sync(_earlier, services.process, name, fingerprint):
        return earlier
    claim = IdempotencyClaim(name, f"{fingerprint} {id_}", services.process.settings.idempotency_s)
    try:
        await submit(services, replace(upload, claim=claim), id_)
    except AlreadyClaimedError:  # by a concurrent request
        return await submit_once(services, key, upload, id_, submit)
    return id_


def _name(caller: Principal, key: str) -> str:
    if not _KEY.fullmatch(key):
        detail = "Idempotency-Key must have 1 to 255 printable ASCII characters"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "Idempotency-Key", key)
    hashed = hashlib.sha256(f"{caller.name or ''} {key}".encode()).hexdigest()
    return f"shapshot:idempotency:{hashed}"


def _fingerprint(upload: Upload) -> str:
    canonical = json.dumps(upload.settings.model_dump(mode="json"), sort_keys=True)
    files = [*upload.images.values(), upload.label_map or b""]
    hashes = [hashlib.sha256(content).hexdigest() for content in files]
    parts = [*upload.images, *hashes, canonical, *filter(None, [upload.reproduces])]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _earlier(services: ProcessServices, name: str, fingerprint: str) -> str | None:
    """Returns the id accepted with this key before, None for a new key. Raises ApiError."""
    found = services.redis.get(name)
    if found is None:
        return None
    before, _, earlier = as_text(found).partition(" ")
    if before != fingerprint:
        detail = "this Idempotency-Key was used before with other files or settings"
        raise ApiError(ErrorCode.IDEMPOTENCY_MISMATCH, detail, "Idempotency-Key")
    if not services.submissions.exists(earlier):
        detail = "the explanation or batch of this Idempotency-Key was deleted"
        raise ApiError(ErrorCode.GONE, detail, "Idempotency-Key")
    return earlier
