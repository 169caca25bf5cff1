"""Reads explanations and batches from Redis, by id or page by page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio

from service.api.auth.keys import Scope
from service.api.auth.principal import Principal
from service.api.http import offload
from service.api.http.problems import ApiError
from service.api.state.listing import Cursor, Page, Selection, read_page
from service.jobs.codec import Hash, decode, decode_batch
from service.jobs.hash_reader import read_hash, read_hashes, read_summaries
from service.jobs.records import BatchRecord, JobSpec, State
from service.jobs.redis_keys import BATCH_ID, EXPLANATION_ID, JOB_ID, SCORES_ID
from service.schemas.documents import ErrorCode, Status
from service.schemas.scores import SCORES_S


@dataclass(frozen=True)
class BatchState:
    """A batch and its explanations by position, except deleted ones."""

    batch: BatchRecord
    members: dict[int, State]

    @property
    def done(self) -> bool:
        return all(state.status.done for state in self.members.values())


@dataclass(frozen=True)
class BatchSummary:
    """A batch, the statuses of its explanations, and the spec of one of them."""

    batch: BatchRecord
    counts: Counter[Status]  # without those deleted since
    spec: JobSpec

    @property
    def done(self) -> bool:
        return all(status.done for status in self.counts)


class ExplanationRepository:
    """The explanations that a caller may read; it does not find those of other owners.

    Every call may raise `redis.RedisError`.
    """

    def __init__(self, connection: redis.asyncio.Redis, caller: Principal) -> None:
        self._redis = connection
        self._caller = caller

    async def find(self, explanation_id: str) -> State | None:
        known = EXPLANATION_ID.fullmatch(explanation_id)
        return await self.find_job(explanation_id) if known else None

    async def find_job(self, id_: str) -> State | None:
        """Returns an explanation, or scores."""
        if not JOB_ID.fullmatch(id_):
            return None
        raw = await read_hash(self._redis, id_)
        return await offload.run(lambda: self._shown(id_, raw), _size(raw))

    async def read(self, explanation_id: str) -> State:
        """Returns the state. Raises ApiError not_found, or gone if it has expired."""
        return require_live(await self.find(explanation_id), explanation_id)

    async def read_to_change(self, explanation_id: str) -> State:
        """Raises ApiError not_found or gone, and forbidden if the caller may only read it."""
        state = await self.read(explanation_id)
        self._check_change(state.owner)
        return state

    async def batch_to_change(self, batch_id: str) -> BatchState:
        """Raises ApiError not_found or gone, and forbidden if the caller may only read it."""
        state = await self.batch(batch_id)
        self._check_change(state.batch.owner)
        return state

    def _check_change(self, owner: str | None) -> None:
        if not self._caller.may_change(owner):
            detail = f"changing another owner's explanation needs a key of scope {Scope.ADMIN}"
            scopes = sorted(self._caller.scopes)
            raise ApiError(ErrorCode.FORBIDDEN, detail, None, scopes, [Scope.ADMIN])

    async def scores(self, explanation_id: str, scores_id: str) -> State:
        """Returns scores of an explanation, which the caller may read. Raises ApiError."""
        found = await self.find_job(scores_id) if SCORES_ID.fullmatch(scores_id) else None
        asked = found and found.spec and found.spec.coalitions
        is_its_own = asked and not asked.picture and asked.explanation == explanation_id
        return require_scores(found if is_its_own else None, scores_id)

    async def batch(self, batch_id: str) -> BatchState:
        """Returns the state. Raises ApiError not_found, or gone if all its explanations are."""
        known = BATCH_ID.fullmatch(batch_id)
        raw = await read_hash(self._redis, batch_id) if known else {}
        batch = decode_batch(batch_id, raw)
        if batch is None or not self._caller.sees(batch.owner):
            detail = f"there is no such batch: {batch_id[:100]}"
            raise ApiError(ErrorCode.NOT_FOUND, detail, "id", batch_id)
        states = await self._states(batch.members)
        members = {n: state for n, state in enumerate(states) if state and batch.has(state)}
        if not any(state.spec for state in members.values()):
            detail = "the explanations of this batch have expired or were deleted"
            raise ApiError(ErrorCode.GONE, detail, "id", batch_id)
        return BatchState(batch, members)

    async def page(
        self, selection: Selection, after: Cursor | None, limit: int, status: Status | None = None
    ) -> Page[State]:
        """Returns up to `limit` explanations of a selection.

        status: the only status returned, by the explanations' hashes, as the index may be stale.
        """

        async def read(ids: Sequence[str]) -> list[State | None]:
            return [
                state if state and state.spec and status in (None, state.status) else None
                for state in await self._states(ids)
            ]

        return await read_page(self._redis, selection, after, limit, read)

    async def batch_page(
        self, selection: Selection, after: Cursor | None, limit: int
    ) -> Page[BatchSummary]:
        """Returns up to `limit` batches of a selection that have not expired as a whole."""
        return await read_page(self._redis, selection, after, limit, self._summaries)

    async def _summaries(self, ids: Sequence[str]) -> list[BatchSummary | None]:
        """Reads the statuses of each batch's explanations, and one of these completely."""
        hashes = await read_hashes(self._redis, ids)
        batches = [decode_batch(id_, raw) for id_, raw in zip(ids, hashes, strict=True)]
        members = [id_ for batch in batches if batch for id_ in batch.members]
        summaries = dict(zip(members, await read_summaries(self._redis, members), strict=True))
        found = []
        for batch in batches:
            own = {
                id_: summary.status
                for id_ in (batch.members if batch else ())
                if batch and (summary := summaries[id_]) and summary.belongs_to(batch)
            }
            live = next((id_ for id_, status in own.items() if status is not Status.EXPIRED), "")
            found.append((batch, Counter(own.values()), live))
        states = await self._states([live for _, _, live in found])
        return [
            BatchSummary(batch, counts, state.spec) if batch and state and state.spec else None
            for (batch, counts, _), state in zip(found, states, strict=True)
        ]

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
        detail = f"there is no such explanation: {explanation_id[:100]}"
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", explanation_id)
    if state.status is Status.EXPIRED or state.spec is None:
        detail = "the explanation has expired; its uploads and results are deleted"
        raise ApiError(ErrorCode.GONE, detail, "id", explanation_id)
    return state


def require_scores(state: State | None, scores_id: str) -> State:
    """Returns scores if they exist. Raises ApiError not_found."""
    if state is None:
        detail = (
            f"there are no such scores; scores are deleted {SCORES_S} s after they are done: "
            "request them again"
        )
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", scores_id)
    return state
