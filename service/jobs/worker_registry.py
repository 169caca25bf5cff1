"""Registry of live workers and the models they serve.

A worker renews its entry well within its lease. Cards outlive the worker for as long as results are
kept, so that clients can still read the card and the results of a model that no worker serves.
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
CARDS = "shapshot:models"  # hash: model name -> its last usable card
SEEN = "shapshot:models:seen"  # sorted set: model name by the time of its last announcement
DEFAULT = "shapshot:models:default"  # name of the default model in the last announcement
CACHED_CARDS = 64  # parsed cards kept in memory: each may have thousands of labels
PREFERRED = (ModelStatus.AVAILABLE, ModelStatus.LOADING, ModelStatus.UNAVAILABLE)  # best first
NO_WORKER_REASON = "no live worker serves it"

log = structlog.get_logger(__name__)


def announce(
    connection: redis.Redis,
    worker: str,
    cards: Sequence[ModelCard],
    *,
    lease_s: int,
    remember_s: float | None = None,
) -> None:
    """Renew a worker's lease, publish its cards, drop cards not announced for `remember_s`."""
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
    """Remove a stopping worker from the registry."""
    with connection.pipeline() as pipe:
        pipe.zrem(WORKERS, worker)
        pipe.delete(worker_key_of(worker))
        pipe.execute()


@dataclass(frozen=True)
class LiveWorkers:
    """The live workers with their cards, and the last usable card of every known model."""

    workers: Mapping[str, Sequence[ModelCard]]
    known: Sequence[ModelCard]
    last_default: str  # default model in the last announcement

    @cached_property
    def cards(self) -> list[ModelCard]:
        """Return a card for every model, the default first; unserved models are unavailable."""
        served = [card for cards in self.workers.values() for card in cards]
        best = []
        for known in self.known:
            candidates = [card for card in served if card.name == known.name]
            if not candidates:
                status = {"status": ModelStatus.UNAVAILABLE, "reason": NO_WORKER_REASON}
                candidates = [known.model_copy(update=status | {"default": False})]
            best.append(min(candidates, key=lambda card: PREFERRED.index(card.status)))
        return _in_order(best)

    @cached_property
    def usable(self) -> list[ModelCard]:
        """Return the cards, using the last usable card of a model that no worker can use now.

        If none of them is the default, the default of the last announcement is used.
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
        """Return the names of the models that each live worker can use now."""
        return {
            worker: [card.name for card in cards if card.status is ModelStatus.AVAILABLE]
            for worker, cards in self.workers.items()
        }


def read_live_workers(connection: redis.Redis) -> LiveWorkers:
    """Read live workers and known cards, in two round trips, as every upload needs them."""
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
    """Parse a card; None for an invalid one, so that the others can still be read."""
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        log.warning("invalid model card skipped", errors=error.error_count())
        return None
