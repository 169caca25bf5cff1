"""Parts of a service that break a promise, for a soak that must fail."""

import threading
import time
import uuid

import redis.asyncio

from service.api import server
from service.api.state import repository
from service.jobs.codec import Hash
from service.jobs.redis_keys import key_of
from service.schemas.documents import ErrorCode, Failure, Status
from tests.ledger import Ledger
from tests.soak import workers


class EndsTwice(workers.Recorded):
    """Finishes every explanation again after half a second, unfenced and unannounced."""

    def finish(self, explanation_id: str, attempt: str, status: Status, **found: object) -> None:
        super().finish(explanation_id, attempt, status, **found)
        threading.Timer(0.5, self._end_again, [explanation_id]).start()

    def _end_again(self, explanation_id: str) -> None:
        forged, failure = uuid.uuid4().hex, Failure(code=ErrorCode.INTERNAL, detail="planted")
        self._redis.hset(key_of(explanation_id), "attempt", forged)
        Ledger.finish(self, explanation_id, forged, Status.FAILED, error=failure)


class Forgets(workers.Recorded):
    """Reports every tenth as finished, writes nothing, and gives its lease up."""

    ended = 0

    def finish(self, explanation_id: str, attempt: str, status: Status, **found: object) -> None:
        self.ended += 1
        if self.ended % 10:
            super().finish(explanation_id, attempt, status, **found)
        else:
            self._redis.zrem(f"rq:wip:{self._queue}", f"{explanation_id}:{attempt}")


def end_twice(*words: object) -> None:
    workers.main(*words, ledger=EndsTwice)  # type: ignore[arg-type]


def forget(*words: object) -> None:
    workers.main(*words, ledger=Forgets)  # type: ignore[arg-type]


def answer_from_the_past() -> None:
    """Every second response about an explanation is the one of a second ago."""
    read, seen = vars(repository)["read_hash"], {}

    async def stale(connection: redis.asyncio.Redis, id_: str) -> Hash:
        now = await read(connection, id_)
        at, old, turn = seen.get(id_, (0.0, now, 0))
        if time.monotonic() - at > 1:
            seen[id_] = (time.monotonic(), now, turn + 1)
        else:
            seen[id_] = (at, old, turn + 1)
        return old if turn % 2 else now

    vars(repository)["read_hash"] = stale
    server.main()
