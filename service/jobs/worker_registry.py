"""Which workers are alive and which models they serve.

A worker renews its entry well within its lease; cards stay behind it for as long as results do, so
that a client can still read what a model is, and get what it found, while no worker serves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import redis
import structlog
from pydantic import ValidationError

from service.jobs import scripts
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import as_text, worker_key_of
from service.jobs.scripts import Scripts
from service.schemas.models import ModelCard, ModelStatus

WORKERS = "shapshot:workers"  # sorted set: name by the time its lease ends
CARDS = "shapshot:models"  # hash: model name -> its card when a worker could last use it
SEEN = "shapshot:models:seen"  # sorted set: model name by the time of its last announcement
DEFAULT = "shapshot:models:default"  # the name of the default model of who announced last
CACHED_CARDS = 64  # cards that need not be parsed again: each may have thousands of labels
NO_WORKER_REASON = "no worker that serves it is alive"

log = structlog.get_logger(__name__)


def announce(
    connection: redis.Redis,
    worker: str,
    cards: Sequence[ModelCard],
    *,
    lease_s: int,
    remember_s: float | None = None,
) -> None:
    """Renew a worker's lease, publish its cards, forget those unheard of for `remember_s`."""
    announced = [
        scripts.Card(
            model=card.name,
            text=card.model_dump_json(),
            usable=card.status is ModelStatus.AVAILABLE,
            default=card.default,
        )
        for card in cards
    ]
    Scripts(connection).run(scripts.Announce(worker, lease_s, remember_s, announced))


def deregister(connection: redis.Redis, worker: str) -> None:
    """Take a worker that stops off the list."""
    with connection.pipeline() as pipe:
        pipe.zrem(WORKERS, worker)
        pipe.delete(worker_key_of(worker))
        pipe.execute()


@dataclass(frozen=True)
class LiveWorkers:
    """The live workers, each with its cards, and of every model known the card as last usable."""

    workers: Mapping[str, Sequence[ModelCard]]
    known: Sequence[ModelCard]
    last_default: str  # the model that was the default in the last announcement

    @cached_property
    def cards(self) -> list[ModelCard]:
        """Of every model, the default first; those that no live worker serves are unavailable."""
        served = [card for cards in self.workers.values() for card in cards]
        return _in_order(
            _best(card, [each for each in served if each.name == card.name]) for card in self.known
        )

    @cached_property
    def usable(self) -> list[ModelCard]:
        """The cards, each that no worker can use now as it was when one last could.

        Where none of them is the default, that of the last announcement is.
        """
        once = {card.name: card for card in self.known if card.status is ModelStatus.AVAILABLE}
        default = next((card.name for card in self.cards if card.default), self.last_default)
        usable = [
            card if card.status is ModelStatus.AVAILABLE else once.get(card.name, card)
            for card in self.cards
        ]
        return _in_order(
            card.model_copy(update={"default": card.name == default}) for card in usable
        )

    @property
    def available(self) -> dict[str, list[str]]:
        """The names of the models that each live worker could use now."""
        return {
            worker: [card.name for card in cards if card.status is ModelStatus.AVAILABLE]
            for worker, cards in self.workers.items()
        }


def read_live_workers(connection: redis.Redis) -> LiveWorkers:
    """Who is there and what is known, in two trips, as every upload makes them."""
    with connection.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(WORKERS, 0, -1, withscores=True)
        pipe.hvals(CARDS)
        pipe.get(DEFAULT)
        answer, leases, known, default = pipe.execute()
        now = as_seconds(answer)
        alive = [as_text(worker) for worker, lease_ends in leases if lease_ends > now]
        for worker in alive:
            pipe.hvals(worker_key_of(worker))
        served = map(_parse, pipe.execute())
    workers = dict(zip(alive, served, strict=True))
    return LiveWorkers(workers, _parse(known), as_text(default or b""))


def _in_order(cards: Iterable[ModelCard]) -> list[ModelCard]:
    return sorted(cards, key=lambda card: (not card.default, card.name))


def _parse(texts: Sequence[bytes | str]) -> list[ModelCard]:
    return [card for text in texts if (card := _card(text))]


@lru_cache(CACHED_CARDS)
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
    silent = {"status": ModelStatus.UNAVAILABLE, "reason": NO_WORKER_REASON, "default": False}
    return known.model_copy(update=silent)
