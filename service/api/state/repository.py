"""Reads explanations and batches from Redis, by id or page by page."""

from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio

from service.api.auth.principal import Principal
from service.api.http import offload
from service.api.http.problems import ApiError
from service.api.state.listing import MAX_WALKS, Cursor, Selection, Total, count, walk
from service.jobs.codec import Hash, decode, decode_batch
from service.jobs.hash_reader import read_hash, read_hashes
from service.jobs.records import BatchRecord, State
from service.jobs.redis_keys import BATCH_ID, EXPLANATION_ID
from service.schemas.documents import ErrorCode, Status


@dataclass(frozen=True)
class BatchState:
    """A batch and its explanations by position, except deleted ones."""

    batch: BatchRecord
    members: dict[int, State]

    @property
    def done(self) -> bool:
        return all(state.status.done for state in self.members.values())


@dataclass(frozen=True)
class Page:
    """Explanations in the order of a selection, where the next page begins, and how many match."""

    states: list[State]
    next: Cursor | None
    total: Total


class ExplanationRepository:
    """The explanations that a caller may read; it does not find those of other owners.

    Every call may raise `redis.RedisError`.
    """

    def __init__(self, connection: redis.asyncio.Redis, caller: Principal) -> None:
        self._redis = connection
        self._caller = caller

    async def find(self, explanation_id: str) -> State | None:
        if not EXPLANATION_ID.fullmatch(explanation_id):
            return None
        raw = await read_hash(self._redis, explanation_id)
        return await offload.run(lambda: self._shown(explanation_id, raw), _size(raw))

    async def read(self, explanation_id: str) -> State:
        """Returns the state. Raises ApiError not_found, or gone if it has expired."""
        return require_live(await self.find(explanation_id), explanation_id)

    async def batch(self, batch_id: str) -> BatchState:
        """Returns the state. Raises ApiError not_found, or gone if all its explanations are."""
        known = BATCH_ID.fullmatch(batch_id)
        raw = await read_hash(self._redis, batch_id) if known else {}
        batch = decode_batch(batch_id, raw)
        if batch is None or not self._caller.sees(batch.owner):
            raise ApiError(ErrorCode.NOT_FOUND, "there is no such batch", "id", batch_id)
        states = await self._states(batch.members)
        members = {n: state for n, state in enumerate(states) if state and batch.has(state)}
        if not any(state.spec for state in members.values()):
            detail = "the explanations of this batch have expired or were deleted"
            raise ApiError(ErrorCode.GONE, detail, "id", batch_id)
        return BatchState(batch, members)

    async def page(
        self, selection: Selection, after: Cursor | None, limit: int, status: Status | None = None
    ) -> Page:
        """Returns up to `limit` explanations of a selection that stand so.

        The index says how an explanation stood a moment ago, its hash how it stands.
        """
        found: list[tuple[Cursor, State]] = []
        for _ in range(MAX_WALKS):
            step = await walk(self._redis, selection, after, limit + 1 - len(found))
            states = await self._states([place.id for place in step.found])
            found += [
                (place, state)
                for place, state in zip(step.found, states, strict=True)
                if state and state.spec and status in (None, state.status)
            ]
            after = step.stopped
            if after is None or len(found) > limit:
                break
        if len(found) > limit:
            after, _ = found[limit - 1]
        total = await count(self._redis, selection)
        return Page([state for _, state in found[:limit]], after, total)

    async def _states(self, ids: Sequence[str]) -> list[State | None]:
        hashes = await read_hashes(self._redis, ids)
        return await offload.run(
            lambda: [self._shown(id_, raw) for id_, raw in zip(ids, hashes, strict=True)],
            sum(map(_size, hashes)),
        )

    def _shown(self, id_: str, raw: Hash) -> State | None:
        state = decode(id_, raw)
        return state if state and self._caller.sees(state.owner) else None


def _size(raw: Hash) -> int:
    return sum(map(len, raw.values()))


def require_live(state: State | None, explanation_id: str) -> State:
    """Returns the state of an explanation that has not expired. Raises ApiError not_found, gone."""
    if state is None:
        detail = "there is no such explanation"
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", explanation_id)
    if state.status is Status.EXPIRED or state.spec is None:
        detail = "the explanation has expired; its uploads and results are deleted"
        raise ApiError(ErrorCode.GONE, detail, "id", explanation_id)
    return state
