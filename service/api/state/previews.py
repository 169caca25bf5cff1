"""Previews of running explanations, which workers make while a client watches."""

import redis.asyncio

from service.jobs.records import State
from service.jobs.redis_keys import as_text, preview_key_of, watched_key_of

WATCHED_S = 10  # how long a worker makes previews after a client's last request


async def watch(connection: redis.asyncio.Redis, explanation_id: str) -> None:
    """Has the worker of an explanation make previews for WATCHED_S. Raises `redis.RedisError`."""
    await connection.set(watched_key_of(explanation_id), 1, ex=WATCHED_S)


async def read_preview(connection: redis.asyncio.Redis, state: State) -> str | None:
    """Returns the newest preview as JSON, None if there is none. Raises `redis.RedisError`."""
    if state.preview is None:
        return None
    text = await connection.get(preview_key_of(state.id))
    return as_text(text) if text else None


def preview_etag(state: State) -> str:
    """Returns a weak ETag of the newest preview; another attempt begins anew."""
    return f'W/"{state.attempts}.{state.preview}"'
