"""Which workers are alive and which models they serve.

A worker renews its entry well within its lease; cards stay behind it, so that a client can still
read what a model is while no worker serves it.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import redis
import structlog
from pydantic import ValidationError

from service.contract.names import as_text
from service.contract.schema import ModelCard, ModelStatus

WORKERS = "shapshot:workers"  # sorted set: name by the time its lease ends
CARDS = "shapshot:models"  # hash: model name -> its latest card
SILENT = "no worker that serves it is alive"

log = structlog.get_logger(__name__)


def announce(
    connection: redis.Redis, worker: str, cards: Iterable[ModelCard], *, lease_s: int
) -> None:
    """Renew a worker's lease and publish its cards."""
    texts: dict[Any, Any] = {card.name: card.model_dump_json() for card in cards}
    with connection.pipeline() as pipe:
        pipe.zremrangebyscore(WORKERS, 0, time.time() - 3600)
        pipe.zadd(WORKERS, {worker: time.time() + lease_s})
        if texts:
            pipe.hset(CARDS, mapping=texts)
            pipe.hset(f"shapshot:worker:{worker}", mapping=texts)
            pipe.expire(f"shapshot:worker:{worker}", lease_s)
        pipe.execute()


def withdraw(connection: redis.Redis, worker: str) -> None:
    """Take a worker that stops off the list."""
    with connection.pipeline() as pipe:
        pipe.zrem(WORKERS, worker)
        pipe.delete(f"shapshot:worker:{worker}")
        pipe.execute()


def live_workers(connection: redis.Redis) -> int:
    """How many workers are alive."""
    return int(connection.zcount(WORKERS, time.time(), "+inf"))


def available_models(connection: redis.Redis) -> dict[str, list[str]]:
    """The live workers, and the names of the models that each could use now."""
    return {
        worker: [card.name for card in cards if card.status is ModelStatus.AVAILABLE]
        for worker, cards in _served(connection).items()
    }


def read_cards(connection: redis.Redis) -> list[ModelCard]:
    """Every model known, the default first; those that no live worker serves are unavailable."""
    known = _parse(connection.hvals(CARDS))
    served = [card for cards in _served(connection).values() for card in cards]
    cards = [_best(card, [each for each in served if each.name == card.name]) for card in known]
    return sorted(cards, key=lambda card: (not card.default, card.name))


def _served(connection: redis.Redis) -> dict[str, list[ModelCard]]:
    """The cards of each live worker."""
    alive = [as_text(name) for name in connection.zrangebyscore(WORKERS, time.time(), "+inf")]
    with connection.pipeline(transaction=False) as pipe:
        for worker in alive:
            pipe.hvals(f"shapshot:worker:{worker}")
        return dict(zip(alive, map(_parse, pipe.execute()), strict=True))


def _parse(texts: Sequence[bytes | str]) -> list[ModelCard]:
    return [card for text in texts if (card := _card(text))]


def _card(text: bytes | str) -> ModelCard | None:
    """None for one that no worker wrote: it must not keep the others from being read."""
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        log.warning("not a card of ours", errors=error.error_count())
        return None


def _best(known: ModelCard, served: Sequence[ModelCard]) -> ModelCard:
    order = [ModelStatus.AVAILABLE, ModelStatus.LOADING, ModelStatus.UNAVAILABLE]
    if served:
        return min(served, key=lambda card: order.index(card.status))
    silent = {"status": ModelStatus.UNAVAILABLE, "reason": SILENT, "default": False}
    return known.model_copy(update=silent)
