"""Ids, and the names of keys in Redis."""

import re
import uuid

CHANGES = "shapshot:changes"  # channel: the id of each explanation that changed
INDEX = "shapshot:explanations"  # sorted set: id by time of creation; see index_of
BATCHES = "shapshot:batches"  # sorted set: the same of batches
LINK_KEY = "shapshot:link_key"  # string: the key that signs links
RECORDS = "shapshot:records"  # list: the chain of sealed statements, an entry of JSON for each
UNSEALED = "shapshot:unsealed"  # set: ids of results that have no record yet
UNSTAMPED = "shapshot:unstamped"  # set: ids of records that are to have a timestamp
EXPIRY = "shapshot:expiry"  # sorted set: id by the time its artifacts may be removed
HOLDS = "shapshot:holds"  # sorted set: id by the time its hold ends, or inf

WEBHOOKS = "shapshot:webhooks"  # sorted set: webhooks by time of creation; see index_of

AUDIT = "shapshot:audit"  # stream: the audit log
AUDIT_SEGMENTS = "shapshot:audit:segments"  # stream: its signed segments
AUDIT_SEALED = "shapshot:audit:sealed"  # hash: the end of the last segment

EXPLANATION_ID = re.compile(r"exp_[0-9a-f]{32}")
SCORES_ID = re.compile(r"scr_[0-9a-f]{32}")  # the first digits of a SHA-256: see coalitions.py
JOB_ID = re.compile(f"{EXPLANATION_ID.pattern}|{SCORES_ID.pattern}")
BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")
WEBHOOK_ID = re.compile(r"wh_[0-9a-f]{32}")
DELIVERY_ID = re.compile(r"msg_[0-9a-f]{32}")


def new_id() -> str:
    return f"exp_{uuid.uuid4().hex}"


def new_batch_id() -> str:
    return f"batch_{uuid.uuid4().hex}"


def new_webhook_id() -> str:
    return f"wh_{uuid.uuid4().hex}"


def new_delivery_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def is_id(text: str) -> bool:
    """Return whether the text is the id of an explanation or of a batch."""
    return bool(EXPLANATION_ID.fullmatch(text) or BATCH_ID.fullmatch(text))


def key_of(id_: str) -> str:
    """Return the key of the hash of an explanation or of a batch."""
    return f"shapshot:explanation:{id_}"


def preview_key_of(id_: str) -> str:
    """Return the key of the preview of a running explanation."""
    return f"shapshot:preview:{id_}"


def watched_key_of(id_: str) -> str:
    """Return the key that exists while a client watches the previews of an explanation."""
    return f"shapshot:watched:{id_}"


def reviews_key_of(id_: str) -> str:
    """Return the key of the list of an explanation's reviews."""
    return f"shapshot:reviews:{id_}"


def worker_key_of(worker: str) -> str:
    """Return the key of the hash of a worker's model cards, by model name."""
    return f"shapshot:worker:{worker}"


def webhook_key_of(webhook: str) -> str:
    """Return the key of the hash of a webhook."""
    return f"shapshot:webhook:{webhook}"


def delivery_key_of(delivery: str) -> str:
    """Return the key of the hash of a delivery."""
    return f"shapshot:delivery:{delivery}"


def pending_key_of(webhook: str) -> str:
    """Return the key of the deliveries of a webhook that wait, by when they are due."""
    return f"shapshot:deliveries:{webhook}"


def ended_key_of(webhook: str, *, delivered: bool) -> str:
    """Return the key of the deliveries of a webhook that ended, by their end."""
    return f"shapshot:delivered:{webhook}" if delivered else f"shapshot:undelivered:{webhook}"


def cache_key_of(request: str) -> str:
    """Return the key of a cache entry, which holds the id of the explanation to reuse.

    request: equal for all requests with the same answer.
    """
    return f"shapshot:cache:{request}"


def index_of(owner: str | None, index: str = INDEX) -> str:
    """Return the key of an owner's part of INDEX or BATCHES; None: the whole."""
    return index if owner is None else f"{index}:{owner}"


def facet_key_of(facet: str) -> str:
    """Return the key of the explanations that have a facet: see facets.py."""
    return f"shapshot:index:{facet}"


def as_text(value: object) -> str:
    """Decode a reply of Redis; invalid UTF-8 becomes a text that matches no name."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
