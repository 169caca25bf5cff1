"""Encodes explanations and batches as Redis hashes, and decodes them.

Foreign data in Redis must not make a reader fail: a hash that does not validate is logged and
skipped.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter
from pydantic_core import from_json

from service.jobs.facets import facets_of, in_words, review_facets
from service.jobs.records import BatchRecord, JobSpec, ProgressCount, State
from service.jobs.redis_keys import SCORES_ID, as_text
from service.schemas.documents import Status
from service.schemas.results import Outcome
from service.schemas.scores import PICTURE_S, SCORES_S

CACHED_EXPLANATIONS = 512  # decoded explanations kept in memory

T = TypeVar("T")
log = structlog.get_logger(__name__)

Hash = Mapping[bytes | str, bytes | str]  # as Redis returns it

_STATE, _BATCH = TypeAdapter(State), TypeAdapter(BatchRecord)
_ABSENT = dict.fromkeys(State.__dataclass_fields__) | {"version": 0, "attempts": 0}
# Fields that hold JSON
_JSON = ("order", "outcome", "artefacts", "error", "progress", "record", "review", "answer")
_RENAMED = {"order": "spec", "artefacts": "artifacts"}  # fields of State by their names in Redis


def decode(explanation_id: str, raw: Hash) -> State | None:
    """Decode an explanation or scores; None if the hash is empty or does not validate."""
    short_lived = SCORES_ID.fullmatch(explanation_id)  # and may hold a picture: not cached
    read = _decoded.__wrapped__ if short_lived else _decoded
    return read(explanation_id, tuple(raw.items()))


@lru_cache(CACHED_EXPLANATIONS)
def _decoded(explanation_id: str, raw: tuple[tuple[Any, Any], ...]) -> State | None:
    """Cache by content: many readers of the same hash share one parsed object."""
    fields = _texts(dict(raw))
    if "status" not in fields:
        return None

    def read() -> dict[str, Any]:
        parsed = {
            _RENAMED.get(name, name): from_json(fields[name]) for name in _JSON if name in fields
        }
        if "held_by" in fields:
            parsed["hold"] = {
                "by": fields["held_by"],
                "since": fields.get("held_at"),
                "reason": fields.get("held_for"),
                "until": fields.get("held_until"),
            }
        return _ABSENT | fields | {"progress": ProgressCount(0, 0)} | parsed

    return _checked(_STATE, explanation_id, read)


def decode_batch(batch_id: str, raw: Hash) -> BatchRecord | None:
    """Decode a batch; None if the hash is empty or does not validate."""
    fields = _texts(raw)
    if not fields:
        return None
    members = fields.get("members", "").split()
    return _checked(_BATCH, batch_id, lambda: {"owner": None} | fields | {"members": members})


def encode_queued(spec: JobSpec) -> dict[str, str]:
    """Encode an explanation, or scores, that wait for a worker; the script adds the times."""
    if spec.coalitions:  # not listed, so they have no facets
        keep_s = PICTURE_S if spec.coalitions.picture else SCORES_S
        return {"status": Status.QUEUED.value, "keep_s": str(keep_s), **_fields(spec)}
    facets = _new_facets(Status.QUEUED, spec)
    return {"status": Status.QUEUED.value, "facets": facets, **_fields(spec)}


def encode_cached(spec: JobSpec, earlier: State) -> dict[str, str]:
    """Encode an explanation answered from the result of an earlier one."""
    return {
        "status": Status.SUCCEEDED.value,
        "facets": _new_facets(Status.SUCCEEDED, spec, earlier.outcome),
        **_fields(spec),
        "progress": encode_count(earlier.progress),
        "cached_from": earlier.id,
        **_given(
            outcome=earlier.outcome.model_dump_json() if earlier.outcome else None,
            result=earlier.result,
            artefacts=earlier.artifacts.model_dump_json() if earlier.artifacts else None,
        ),
    }


def encode_batch(specs: Mapping[str, JobSpec]) -> dict[str, str]:
    """Encode a batch of these explanations; the script adds the time."""
    owner = next(iter(specs.values())).owner
    return {"members": " ".join(specs), **_given(owner=owner)}


def encode_count(count: ProgressCount | None) -> str:
    return json.dumps(vars(count)) if count else ""


def _checked(kind: TypeAdapter[T], id_: str, read: Callable[[], dict[str, Any]]) -> T | None:
    try:
        return kind.validate_python(read() | {"id": id_})
    except ValueError as error:  # includes pydantic's ValidationError
        log.warning("invalid record skipped", id=id_, reason=type(error).__name__)
        return None


def _texts(raw: Hash) -> dict[str, str]:
    return {as_text(name): as_text(value) for name, value in raw.items()}


def _new_facets(status: Status, spec: JobSpec, outcome: Outcome | None = None) -> str:
    return in_words({**facets_of(status, spec, outcome), **review_facets(None)})


def _fields(spec: JobSpec) -> dict[str, str]:
    """Encode the fields of a new explanation, without its status and times."""
    kept_s = spec.settings.retention_s
    return {
        "attempts": "0",
        "order": spec.model_dump_json(),
        "bytes": str(spec.bytes),
        "method": spec.method,
        "priority": spec.settings.priority,
        **_given(
            batch=spec.batch,
            owner=spec.owner,
            cache=spec.cache,
            retention_s=None if kept_s is None else str(kept_s),
        ),
    }


def _given(**fields: str | None) -> dict[str, str]:
    """Drop the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}
