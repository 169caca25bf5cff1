"""How explanations and batches are read from their hashes in Redis, and written there.

Whoever can write to Redis must not be able to make a reader fail: what is no record of ours is
logged and passed over.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter
from pydantic_core import from_json

from service.jobs.records import BatchRecord, JobSpec, ProgressCount, State
from service.jobs.redis_keys import as_text
from service.schemas.documents import Status

CACHED_EXPLANATIONS = 512  # explanations that are kept as they were read last

T = TypeVar("T")
log = structlog.get_logger(__name__)

Hash = Mapping[bytes | str, bytes | str]  # as Redis returns it

_STATE, _BATCH = TypeAdapter(State), TypeAdapter(BatchRecord)
_ABSENT = dict.fromkeys(State.__dataclass_fields__) | {"version": 0, "attempts": 0}


def decode(explanation_id: str, raw: Hash) -> State | None:
    """The state in a hash; None where there is none, or one that we never wrote."""
    return _decoded(explanation_id, tuple(raw.items()))


@lru_cache(CACHED_EXPLANATIONS)
def _decoded(explanation_id: str, raw: tuple[tuple[Any, Any], ...]) -> State | None:
    """The same object for the same hash: of many who look, only the first has it parsed."""
    fields = _texts(dict(raw))
    if "status" not in fields:
        return None
    return _checked(_STATE, explanation_id, lambda: _ABSENT | fields | _parsed(fields))


def decode_batch(batch_id: str, raw: Hash) -> BatchRecord | None:
    """The batch in a hash; None where there is none, or one that we never wrote."""
    fields = _texts(raw)
    if not fields:
        return None
    members = fields.get("members", "").split()
    return _checked(_BATCH, batch_id, lambda: {"owner": None} | fields | {"members": members})


def encode_queued(order: JobSpec) -> dict[str, str]:
    """The hash of an explanation that waits for a worker, but for its times."""
    return {"status": Status.QUEUED.value, **_fields(order)}


def encode_cached(order: JobSpec, earlier: State) -> dict[str, str]:
    """The same of one that has its result already, from an earlier one."""
    return {
        "status": Status.SUCCEEDED.value,
        **_fields(order),
        "progress": encode_count(earlier.progress),
        "cached_from": earlier.id,
        **_given(
            outcome=earlier.outcome.model_dump_json() if earlier.outcome else None,
            result=earlier.result,
            artefacts=earlier.artefacts.model_dump_json() if earlier.artefacts else None,
        ),
    }


def encode_batch(orders: Mapping[str, JobSpec]) -> dict[str, str]:
    """The hash of a batch of these explanations, but for its time."""
    owner = next(iter(orders.values())).owner
    return {"members": " ".join(orders), **_given(owner=owner)}


def encode_count(count: ProgressCount | None) -> str:
    return json.dumps(vars(count)) if count else ""


def _checked(kind: TypeAdapter[T], id_: str, read: Callable[[], dict[str, Any]]) -> T | None:
    try:
        return kind.validate_python(read() | {"id": id_})
    except ValueError as error:  # pydantic's is one
        log.warning("not a record of ours", id=id_, reason=type(error).__name__)
        return None


def _parsed(fields: Mapping[str, str]) -> dict[str, Any]:
    """Those that are JSON. Raises ValueError."""
    names = ("order", "outcome", "artefacts", "error", "progress")
    found = {name: from_json(fields[name]) for name in names if name in fields}
    return {"progress": ProgressCount(0, 0)} | found


def _texts(raw: Hash) -> dict[str, str]:
    return {as_text(name): as_text(value) for name, value in raw.items()}


def _fields(order: JobSpec) -> dict[str, str]:
    """Of the hash of a new explanation, but for how it stands and its times."""
    return {
        "attempts": "0",
        "order": order.model_dump_json(),
        "bytes": str(order.bytes),
        "method": order.settings.method,
        "priority": order.settings.priority,
        **_given(batch=order.batch, owner=order.owner, cache=order.cache),
    }


def _given(**fields: str | None) -> dict[str, str]:
    """Without those that are None."""
    return {name: value for name, value in fields.items() if value is not None}
