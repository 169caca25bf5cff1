"""`Idempotency-Key`: a request sent again gives the explanation or batch it gave, not another.

Redis keeps, under a hash of the key and of whose it is, what the request was and the id it was to
get. The claim is short until the request is accepted, so that a process that died in between blocks
nobody long.
"""

import hashlib
import json
import re
from dataclasses import dataclass

from anyio import to_thread

from service.api.edge.caller import Caller
from service.api.intake.admission import Admit
from service.api.intake.upload import Upload
from service.api.protocol.errors import ApiError, retry_after
from service.api.services import Services
from service.contract.names import as_text
from service.contract.schema import ErrorCode
from service.contract.store import StoreError

CLAIM_S = 60

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT = " kept"
_DROP_OWN = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True)
class Claim:
    """That the request of a fingerprint is to become the explanation, or batch, of an id."""

    key: str  # in Redis
    fingerprint: str
    id: str

    @property
    def text(self) -> str:
        return f"{self.fingerprint} {self.id}"


async def admit_once(
    services: Services, key: str | None, upload: Upload, id_: str, admit: Admit
) -> str:
    """Admit the upload, unless it was before under this key; the id it has. Raises ApiError."""
    if key is None:
        await admit(services, upload, id_)
        return id_
    mine = _new_claim(services.caller, key, upload, id_)
    if earlier := await to_thread.run_sync(_claim, services, mine):
        return earlier
    try:
        await admit(services, upload, id_)
    except (ApiError, StoreError):  # surely not accepted, which a failing Redis leaves open
        await to_thread.run_sync(_give_up, services, mine)
        raise
    await to_thread.run_sync(_keep, services, mine)
    return id_


def _new_claim(caller: Caller, key: str, upload: Upload, id_: str) -> Claim:
    if not _KEY.fullmatch(key):
        detail = "Idempotency-Key must have 1 to 255 printable ASCII characters"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "Idempotency-Key", key)
    hashed = hashlib.sha256(f"{caller.name or ''} {key}".encode()).hexdigest()
    return Claim(f"shapshot:idempotency:{hashed}", _fingerprint(upload), id_)


def _fingerprint(upload: Upload) -> str:
    canonical = json.dumps(upload.settings.model_dump(mode="json"), sort_keys=True)
    files = [*upload.images.values(), upload.label_map or b""]
    hashes = [hashlib.sha256(content).hexdigest() for content in files]
    return hashlib.sha256(" ".join([*upload.images, *hashes, canonical]).encode()).hexdigest()


def _claim(services: Services, mine: Claim) -> str | None:
    """None where the request is new, else the id it had before."""
    if services.redis.set(mine.key, mine.text, ex=CLAIM_S, nx=True):
        return None
    found = as_text(services.redis.get(mine.key) or b"")
    if found == mine.text:  # set, but the answer got lost and it was sent again
        return None
    fingerprint, _, earlier = found.removesuffix(_KEPT).partition(" ")
    if found and fingerprint != mine.fingerprint:
        detail = "this Idempotency-Key came with other files or other settings before"
        raise ApiError(ErrorCode.IDEMPOTENCY_MISMATCH, detail, "Idempotency-Key")
    if earlier and services.ledger.exists(earlier):
        return earlier
    raise _without_explanation(kept=found.endswith(_KEPT))


def _without_explanation(*, kept: bool) -> ApiError:
    if kept:
        detail = "what this Idempotency-Key gave was deleted"
        return ApiError(ErrorCode.GONE, detail, "Idempotency-Key")
    detail = "the same request is being accepted at this moment"
    return ApiError(ErrorCode.CONFLICT, detail, "Idempotency-Key", headers=retry_after(1))


def _keep(services: Services, mine: Claim) -> None:
    """It was accepted: remember it for long."""
    services.redis.set(mine.key, mine.text + _KEPT, ex=services.settings.idempotency_s)


def _give_up(services: Services, mine: Claim) -> None:
    """It was refused: the key may be used again."""
    services.redis.eval(_DROP_OWN, 1, mine.key, mine.text)
