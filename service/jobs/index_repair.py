"""Indexes explanations that an older version recorded, or changed, without their facets."""

from collections.abc import Sequence

import redis
import structlog

from service.jobs.facets import facets_of_state, in_words
from service.jobs.hash_reader import read_state
from service.jobs.redis_keys import INDEX, as_text, key_of
from service.jobs.scripts import Reindex, Scripts

TURN_KEY = "shapshot:reindexed"  # held for the pause between two passes, so that one worker looks
PAUSE_S = 60
PAGE = 200  # explanations looked at in a step

log = structlog.get_logger(__name__)


class IndexRepair:
    """Looks through all explanations periodically, page by page, in one worker at a time."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)
        self._seen: int | None = None  # explanations looked at in this pass, from the newest

    def step(self) -> bool:
        """Repair one page if it is this worker's turn; return whether to continue at once.

        Raises `redis.RedisError`.
        """
        if self._seen is None:
            if not self._redis.set(TURN_KEY, "", nx=True, ex=PAUSE_S):
                return False
            self._seen = 0
        page = self._redis.zrevrange(INDEX, self._seen, self._seen + PAGE - 1)
        repaired = sum(
            self._repair(id_) for id_ in self._incomplete([as_text(id_) for id_ in page])
        )
        if repaired:
            log.info("explanations indexed", count=repaired)
        self._seen = self._seen + PAGE if len(page) == PAGE else None
        return self._seen is not None

    def _incomplete(self, ids: Sequence[str]) -> list[str]:
        """Return the explanations whose facets lack their status, or their review.

        Versions without today's facets did not index reviews either.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hmget(key_of(id_), "status", "facets")
            replies = pipe.execute(raise_on_error=False)
        incomplete = []
        for id_, reply in zip(ids, replies, strict=True):
            if isinstance(reply, Exception) or not reply[0]:
                continue
            facets = as_text(reply[1] or b"").split()
            known = any(facet.startswith("review:") for facet in facets)
            if not known or f"status:{as_text(reply[0])}" not in facets:
                incomplete.append(id_)
        return incomplete

    def _repair(self, explanation_id: str) -> bool:
        state = read_state(self._redis, explanation_id)
        if state is None or state.spec is None:
            return False
        facets = in_words(facets_of_state(state))
        tag, _ = self._scripts.run(Reindex(explanation_id, str(state.version), facets))
        return tag == "reindexed"
