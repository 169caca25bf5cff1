"""Reuse of earlier results for identical requests, unless `Cache-Control` forbids it.

Requests are identical if they have the same owner, picture bytes, settings except metadata,
priority, true label and retention, model fingerprint, kind of device and program version.
"""

import hashlib
import json
from collections.abc import Collection

import structlog

from service.api.http.conditional import CachePolicy
from service.api.http.store_mismatch import mismatch_problem
from service.api.services import ProcessServices
from service.api.version import version
from service.infra.artifact_store import (
    DamagedArtifactError,
    MissingArtifactError,
    attributions_key,
    evidence_key,
    faithfulness_key,
    image_key,
    label_map_key,
)
from service.infra.artifacts import Artifact, check_size
from service.jobs.records import State
from service.schemas.documents import LabelMapInfo
from service.schemas.models import ModelCard
from service.schemas.requests import ResolvedSettings

log = structlog.get_logger(__name__)

IRRELEVANT_SETTINGS = {"metadata", "priority", "true_label", "retention_s"}  # they change no result


def request_key(
    image: str,
    label_map: LabelMapInfo | None,
    settings: ResolvedSettings,
    model: str | None,
    card: ModelCard,
    owner: str | None,
) -> str:
    """Returns a key that is equal for identical requests; image: sha256; model: fingerprint.

    card: of that model; it names device and revision.
    """
    same = {
        "version": version(),
        "owner": owner,
        "image": image,
        "label_map": label_map.sha256 if label_map else None,
        "settings": settings.model_dump(mode="json", exclude=IRRELEVANT_SETTINGS),
        "model": model,
        "device": card.device,  # rounding depends on the device
        "revision": card.revision,
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def compared_key(key: str, model: str | None, card: ModelCard) -> str:
    """Returns the key of a request that also compares with a model; model: its fingerprint."""
    same = {"key": key, "model": model, "device": card.device, "revision": card.revision}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def reuse_result(services: ProcessServices, earlier: State, id_: str) -> bool:
    """Copies the artifacts of an earlier explanation; returns False if one is missing or damaged.

    Compares only their sizes, since the store copies without reading. Readers of the copies verify
    the content against the records of the earlier explanation.
    """
    try:
        spec, stored = earlier.spec, earlier.artifacts
        if not (spec and stored and earlier.result):
            raise MissingArtifactError(f"{earlier.id} has no records of its artifacts")
        image, label_map = spec.image, spec.label_map
        recorded = {image_key(earlier.id): Artifact(size=image.bytes, sha256=image.sha256)}
        if label_map:
            sent = Artifact(size=label_map.bytes, sha256=label_map.sha256)
            recorded[label_map_key(earlier.id)] = sent
        recorded[attributions_key(earlier.id, earlier.result)] = stored.attributions
        if stored.faithfulness:
            recorded[faithfulness_key(earlier.id, earlier.result)] = stored.faithfulness
        if stored.evidence:
            recorded[evidence_key(earlier.id, earlier.result)] = stored.evidence
        for key, artifact in recorded.items():
            check_size(services.store, key, artifact)
            services.store.copy(key, key.replace(earlier.id, id_))
    except MissingArtifactError as error:
        note_missing(services, earlier, error)
        return False
    return True


def note_missing(services: ProcessServices, state: State, error: MissingArtifactError) -> None:
    """Evicts an explanation with a missing or damaged artifact from the cache; counts damage.

    Also evicts the explanation that it was copied from, which may be damaged too. Raises ApiError,
    StoreError if it is the wrong store.
    """
    match = services.identity.look()
    if not match.store_fits:
        raise mismatch_problem(match) from error
    damaged = isinstance(error, DamagedArtifactError)
    if damaged:
        services.metrics.damaged.inc()
    log.error("artifact damaged" if damaged else "artifact missing", id=state.id, cause=error.cause)
    for id_ in filter(None, (state.id, state.cached_from)):
        services.submissions.evict_from_cache(id_)


def cache_status(states: Collection[State], caching: CachePolicy) -> dict[str, str]:
    """The Cache-Status header (RFC 9211): hit, or why some explanations are computed."""
    hits = [state.cached_from is not None for state in states]
    if all(hits):
        return {"Cache-Status": "Shapshot; hit"}
    missed = "partial" if any(hits) else "miss"
    why = missed if caching is CachePolicy.USE else "request"
    return {"Cache-Status": f"Shapshot; fwd={why}"}
