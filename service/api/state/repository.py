"""Reads explanations and batches from Redis, by id or page by page from the newest."""

import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from service.api.auth.principal import Principal
from service.api.http import offload
from service.api.http.problems import ApiError
from service.jobs.codec import Hash, decode, decode_batch
from service.jobs.hash_reader import read_hash, read_hashes
from service.jobs.records import BatchRecord, State
from service.jobs.redis_keys import BATCH_ID, EXPLANATION_ID, as_text, index_of
from service.schemas.documents import ErrorCode, Status

READ_BATCH = 100
MAX_SCANNED = 1000  # explanations read for a page, however few match


@dataclass(frozen=True, order=True)
class Cursor:
    """The position after a page: its last explanation; older ones follow."""

    created_at: float
    id: str

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.created_at!r} {self.id}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        try:
            created_at, _, explanation_id = urlsafe_b64decode(text).decode().partition(" ")
            return cls(_finite(created_at), explanation_id)
        except ValueError as error:
            detail = "cursor is none that this service gave; take next_cursor of the page before"
            raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "cursor", text) from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no time")
    return number


@dataclass(frozen=True)
class BatchState:
    """A batch and its explanations by position, without those deleted since."""

    batch: BatchRecord
    members: dict[int, State]

    @property
    def done(self) -> bool:
        return all(state.status.done for state in self.members.values())


class ExplanationRepository:
    """The explanations that a caller may read; those of other owners are not found.

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
        """Raises ApiError not_found, or gone if it has expired."""
        return require_live(await self.find(explanation_id), explanation_id)

    async def batch(self, batch_id: str) -> BatchState:
        """Raises ApiError not_found, or gone if all its explanations are."""
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
        self, after: Cursor | None, limit: int, wanted: Callable[[State], bool]
    ) -> tuple[list[State], Cursor | None]:
        """Returns up to `limit` explanations, newest first, and the next cursor or None."""
        found: list[State] = []
        for _ in range(MAX_SCANNED // READ_BATCH):
            states = await self._older(after)
            found += [state for state in states.values() if state and wanted(state)]
            if len(found) > limit:
                return found[:limit], Cursor(found[limit - 1].created_at, found[limit - 1].id)
            if not states:
                return found, None
            after = list(states)[-1]
        return found, after

    async def _older(self, than: Cursor | None) -> dict[Cursor, State | None]:
        newest = than.created_at if than else "+inf"
        entries: list[Any] = await self._redis.zrange(
            index_of(self._caller.lists),
            newest,
            "-inf",
            desc=True,
            byscore=True,
            offset=0,
            num=READ_BATCH,
            withscores=True,
        )
        cursors = [Cursor(float(score), as_text(member)) for member, score in entries]
        if than:
            cursors = [each for each in cursors if each < than]
        return dict(zip(cursors, await self._states([each.id for each in cursors]), strict=True))

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
        detail = "the explanation has expired; its picture and arrays are gone"
        raise ApiError(ErrorCode.GONE, detail, "id", explanation_id)
    return state
