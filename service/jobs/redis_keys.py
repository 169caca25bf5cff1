"""What things are called in Redis: ids, and the keys that they are found under."""

import re
import uuid

CHANGES = "shapshot:changes"  # channel: the id of each explanation that changed
INDEX = "shapshot:explanations"  # sorted set: id by time of creation; see index_of
EXPIRY = "shapshot:expiry"  # sorted set: id by the time its artefacts may go

EXPLANATION_ID = re.compile(r"exp_[0-9a-f]{32}")
BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")


def new_id() -> str:
    return f"exp_{uuid.uuid4().hex}"


def new_batch_id() -> str:
    return f"batch_{uuid.uuid4().hex}"


def is_id(text: str) -> bool:
    """Whether it is the id of an explanation or of a batch."""
    return bool(EXPLANATION_ID.fullmatch(text) or BATCH_ID.fullmatch(text))


def key_of(id_: str) -> str:
    """The hash of an explanation, or of a batch."""
    return f"shapshot:explanation:{id_}"


def worker_key_of(worker: str) -> str:
    """The hash of a worker's cards, by the names of its models."""
    return f"shapshot:worker:{worker}"


def cache_key_of(request: str) -> str:
    """The explanation that answers a request; `request`: what all such requests have in common."""
    return f"shapshot:cache:{request}"


def index_of(owner: str | None) -> str:
    """The sorted set, id by time of creation, of an owner's explanations; None: of everybody's."""
    return INDEX if owner is None else f"{INDEX}:{owner}"


def as_text(value: object) -> str:
    """What Redis returned, as text; what is no text becomes one that is nobody's name."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
