"""Webhooks and their deliveries in Redis."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import redis.asyncio
import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter

from service.jobs.claims import AlreadyClaimedError, IdempotencyClaim
from service.jobs.records import Moment, Number
from service.jobs.redis_keys import (
    WEBHOOKS,
    as_text,
    delivery_key_of,
    ended_key_of,
    index_of,
    pending_key_of,
    webhook_key_of,
)
from service.jobs.scripts import run_async
from service.jobs.webhook_scripts import Hook, Replay, Settle, Take, Unhook
from service.schemas.webhooks import TEST_EVENT, Attempt, DeliveryStatus, WebhookEvent

T = TypeVar("T")
log = structlog.get_logger(__name__)


class FullError(Exception):
    """The owner has as many webhooks as are allowed."""


class ChangedError(Exception):
    """The webhook was changed since it was read."""


class DisabledError(Exception):
    """A disabled webhook gets no deliveries."""


class StoredSecret(BaseModel):
    """A secret as the receiver knows it, or whose public key it knows."""

    model_config = ConfigDict(frozen=True)

    text: str  # whsec_… or whsk_…
    until: float | None  # by Redis's clock; None: it is not replaced


class WebhookConfig(BaseModel):
    """What the owner of a webhook chose, and its secrets, the newest first."""

    model_config = ConfigDict(frozen=True)

    url: str
    events: tuple[WebhookEvent, ...]
    description: str
    secrets: tuple[StoredSecret, ...]


@dataclass(frozen=True)
class WebhookState:
    """A webhook as it is in Redis."""

    id: str
    version: str
    config: WebhookConfig
    owner: str | None
    everyone: bool  # wants the events of all owners
    created_at: Moment
    disabled_at: Moment | None
    disabled_for: str | None
    failing_since: Moment | None
    delivered: Number
    missed: Number
    pending: Number


@dataclass(frozen=True)
class DeliveryState:
    """A delivery as it is in Redis."""

    id: str
    webhook: str
    type: str
    status: DeliveryStatus
    created_at: Moment
    subject: str
    subject_status: str
    owner: str | None
    batch: str | None
    order: str | None  # the spec of its explanation, until the first attempt
    counts: str | None
    body: str | None  # of the first attempt, and so of all
    attempts: tuple[Attempt, ...]
    tries: Number
    due_at: Moment | None = None


_WEBHOOK, _DELIVERY = TypeAdapter(WebhookState), TypeAdapter(DeliveryState)
_ATTEMPTS = TypeAdapter(tuple[Attempt, ...])
_ABSENT = dict.fromkeys(WebhookState.__dataclass_fields__) | {
    **dict.fromkeys(DeliveryState.__dataclass_fields__),
    **dict.fromkeys(("delivered", "missed", "tries"), 0),
}


@dataclass(frozen=True)
class Taken:
    """A delivery to be attempted."""

    delivery: DeliveryState
    config: WebhookConfig
    token: str


@dataclass(frozen=True)
class Due:
    """Deliveries that were taken, and when others are due."""

    now: float  # by Redis's clock
    taken: Sequence[Taken]
    next_s: float | None  # until another is due; None: none waits


class Webhooks:
    """Every call may raise `redis.RedisError`."""

    def __init__(self, connection: redis.asyncio.Redis) -> None:
        self._redis = connection

    async def save(
        self,
        id_: str,
        config: WebhookConfig,
        *,
        read: WebhookState | None,
        owner: str | None,
        everyone: bool = False,
        enabled: bool = False,
        disabled_for: str | None = None,
        most: int = 0,
        claim: IdempotencyClaim | None = None,
    ) -> None:
        """Add a webhook, or change the one that was read.

        Raises FullError, ChangedError, AlreadyClaimedError.

        enabled: forget that it failed. disabled_for: why it is disabled; None: it is not.
        """
        words = " ".join(config.events)
        hook = Hook(
            id_,
            read.version if read else None,
            owner,
            everyone,
            most,
            config.model_dump_json(),
            f" {words} ",
            enabled,
            disabled_for,
            claim,
        )
        tag, _ = await run_async(self._redis, hook)
        if tag == "claimed":
            raise AlreadyClaimedError
        if tag == "full":
            raise FullError
        if tag == "changed":
            raise ChangedError

    async def remove(self, id_: str) -> None:
        """Remove a webhook with its deliveries."""
        await run_async(self._redis, Unhook(id_))

    async def find(self, id_: str) -> WebhookState | None:
        return (await self._read([id_]))[0]

    async def of_owner(self, owner: str | None) -> list[WebhookState]:
        """Return the webhooks of an owner, newest first; None: of all."""
        ids = await self._redis.zrevrange(index_of(owner, WEBHOOKS), 0, -1)
        return [each for each in await self._read([as_text(id_) for id_ in ids]) if each]

    async def _read(self, ids: Sequence[str]) -> list[WebhookState | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hgetall(webhook_key_of(id_))
                pipe.zcard(pending_key_of(id_))
            replies = await pipe.execute()
        pairs = zip(ids, replies[::2], replies[1::2], strict=True)
        return [_webhook(id_, raw, pending) if raw else None for id_, raw, pending in pairs]

    async def take(self, limit: int, *, of_each: int, lease_s: float, token: str) -> Due:
        """Take deliveries that are due."""
        _, [now, next_s, *found] = await run_async(
            self._redis, Take(limit, of_each, lease_s, token)
        )
        taken = []
        for id_, config, fields in found:
            raw = dict(zip(fields[::2], fields[1::2], strict=True))
            delivery = _delivery(as_text(id_), raw)
            known = _checked(id_, partial(WebhookConfig.model_validate_json, config))
            if delivery and known:
                taken.append(Taken(delivery, known, token))
        seconds = float(next_s)
        return Due(float(now), taken, None if seconds < 0 else seconds)

    async def settle(self, settle: Settle) -> bool:
        """Record an attempt; return False if somebody else took the delivery meanwhile."""
        tag, _ = await run_async(self._redis, settle)
        return tag == "settled"

    async def replay(
        self, webhook: str, delivery: str, claim: IdempotencyClaim | None = None
    ) -> bool:
        """Queue a delivery again; return False if there is none.

        Raises DisabledError, AlreadyClaimedError.
        """
        return await self._replay(Replay(delivery, webhook, None, claim))

    async def test(
        self, webhook: str, delivery: str, claim: IdempotencyClaim | None = None
    ) -> None:
        """Queue a new delivery that only tests the webhook.

        Raises DisabledError, AlreadyClaimedError.
        """
        await self._replay(Replay(delivery, webhook, TEST_EVENT, claim))

    async def _replay(self, replay: Replay) -> bool:
        tag, _ = await run_async(self._redis, replay)
        if tag == "claimed":
            raise AlreadyClaimedError
        if tag == "disabled":
            raise DisabledError
        return tag == "queued"

    async def delivery(self, webhook: str, id_: str) -> DeliveryState | None:
        raw: Any = await self._redis.hgetall(delivery_key_of(id_))
        due_at = await self._redis.zscore(pending_key_of(webhook), id_)
        found = _delivery(id_, raw, due_at) if raw else None
        return found if found and found.webhook == webhook else None

    async def deliveries(
        self, webhook: str, status: DeliveryStatus | None, limit: int
    ) -> list[DeliveryState]:
        """Return deliveries, newest first: of those that wait, the ones due next."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrange(pending_key_of(webhook), 0, limit - 1, withscores=True)
            for delivered in (True, False):
                pipe.zrevrange(ended_key_of(webhook, delivered=delivered), 0, limit - 1)
            pending, delivered_ids, failed_ids = await pipe.execute()
        by_status: Mapping[str, Mapping[Any, float | None]] = {
            "pending": dict(pending),
            "delivered": dict.fromkeys(delivered_ids),
            "failed": dict.fromkeys(failed_ids),
        }
        due_at = {
            as_text(id_): due
            for name, found in by_status.items()
            if status in (None, name)
            for id_, due in found.items()
        }
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in due_at:
                pipe.hgetall(delivery_key_of(id_))
            hashes = await pipe.execute()
        states = [
            _delivery(id_, raw, due_at[id_]) for id_, raw in zip(due_at, hashes, strict=True) if raw
        ]
        known = sorted((each for each in states if each), key=lambda each: -each.created_at)
        return known[:limit]


def _webhook(id_: str, raw: Mapping[Any, Any], pending: int) -> WebhookState | None:
    fields = {as_text(name): as_text(value) for name, value in raw.items()}

    def read() -> WebhookState:
        config = WebhookConfig.model_validate_json(fields["config"])
        more = {"id": id_, "config": config, "pending": pending}
        return _WEBHOOK.validate_python(_ABSENT | fields | more)

    return _checked(id_, read)


def _delivery(
    id_: str, raw: Mapping[Any, Any], due_at: float | None = None
) -> DeliveryState | None:
    fields = {as_text(name): as_text(value) for name, value in raw.items()}

    def read() -> DeliveryState:
        attempts = _ATTEMPTS.validate_json(fields.get("attempts", "[]"))
        more = {"id": id_, "attempts": attempts, "due_at": due_at}
        return _DELIVERY.validate_python(_ABSENT | fields | more)

    return _checked(id_, read)


def _checked(id_: Any, read: Callable[[], T]) -> T | None:
    """Return what was read; None, and a line in the log, for what does not validate."""
    try:
        return read()
    except (ValueError, KeyError) as error:  # includes pydantic's ValidationError
        log.warning("invalid record skipped", id=as_text(id_), reason=type(error).__name__)
        return None
