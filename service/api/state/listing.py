"""Walks the index of the lists in Redis: pages of a selection, and its total."""

import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import redis.asyncio

from service.api.http.problems import ApiError
from service.jobs.redis_keys import as_text
from service.jobs.scripts import Place, Walk, run_async
from service.schemas.documents import ErrorCode

LOOKUPS = 1000  # of one script, which takes about a millisecond of Redis
MAX_WALKS = 20  # scripts for a page
MAX_COUNTS = 40  # scripts for its total

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Cursor:
    """A place in the order of creation: that of the last item of a page."""

    created_at: float
    id: str

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.created_at!r} {self.id}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        try:
            created_at, _, id_ = urlsafe_b64decode(text).decode().partition(" ")
            return cls(_finite(created_at), id_)
        except ValueError as error:
            detail = "invalid cursor; use next_cursor of the previous page"
            raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "cursor", text) from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no time")
    return number


@dataclass(frozen=True)
class Selection:
    """The members that several sorted sets have in common, created within a range of time."""

    sets: Sequence[str]
    newest: bool = True  # first
    since: float | None = None
    before: float | None = None


@dataclass(frozen=True)
class Step:
    """The members that one script found, and the place where it stopped; None at the end."""

    found: list[Cursor]
    stopped: Cursor | None


@dataclass(frozen=True)
class Total:
    """The number of selected items; not exact if the limit of look-ups was reached."""

    count: int
    exact: bool


@dataclass(frozen=True)
class Page(Generic[T]):
    """The items of a page in order, the place where the next page begins, and the total."""

    items: list[T]
    next: Cursor | None
    total: Total


async def read_page(
    connection: redis.asyncio.Redis,
    selection: Selection,
    after: Cursor | None,
    limit: int,
    read: Callable[[Sequence[str]], Awaitable[Sequence[T | None]]],
) -> Page[T]:
    """Reads up to `limit` items; skips those that read as None.

    A page may be short although there is a next one, if MAX_WALKS scripts did not fill it. Raises
    `redis.RedisError`.
    """
    found: list[tuple[Cursor, T]] = []
    for _ in range(MAX_WALKS):
        step = await walk(connection, selection, after, limit + 1 - len(found))
        items = await read([place.id for place in step.found])
        pairs = zip(step.found, items, strict=True)
        found += [(place, item) for place, item in pairs if item is not None]
        after = step.stopped
        if after is None or len(found) > limit:
            break
    if len(found) > limit:
        after, _ = found[limit - 1]
    total = await count(connection, selection)
    return Page([item for _, item in found[:limit]], after, total)


async def walk(
    connection: redis.asyncio.Redis, selection: Selection, after: Cursor | None, limit: int
) -> Step:
    """Finds up to `limit` of the selection after a cursor. Raises `redis.RedisError`."""
    call = _walk_of(selection, limit)
    _, [_, more, *places] = await run_async(connection, _placed(call, after))
    cursors = [
        Cursor(float(score), as_text(member))
        for score, member in zip(places[::2], places[1::2], strict=True)
    ]
    return Step(cursors[1:], cursors[0] if more else None)


async def count(connection: redis.asyncio.Redis, selection: Selection) -> Total:
    """Counts the whole selection, by at most MAX_COUNTS scripts. Raises `redis.RedisError`."""
    call, counted = _walk_of(selection, None), 0
    for _ in range(MAX_COUNTS):
        _, [found, more, *place] = await run_async(connection, call)
        counted += int(found)
        if not more:
            return Total(counted, exact=True)
        call = replace(call, place=Place(*map(as_text, place)))
    return Total(counted, exact=False)


def _walk_of(selection: Selection, limit: int | None) -> Walk:
    since, before = (None if at is None else repr(at) for at in (selection.since, selection.before))
    return Walk(selection.sets, selection.newest, since, before, None, limit, LOOKUPS)


def _placed(call: Walk, after: Cursor | None) -> Walk:
    return replace(call, place=Place(repr(after.created_at), after.id)) if after else call
