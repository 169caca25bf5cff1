"""Redis and the store belong together; if not, this is reported."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from service.infra.artifact_store import (
    MARKER_KEY,
    MissingArtifactError,
    Store,
    StoreError,
    open_store,
)
from service.jobs.store_identity import (
    IDENTITY,
    StoreIdentity,
    StoreMatch,
    adopt_store,
    compare_store,
)


@pytest.fixture
def named(connection: redis.Redis, store: Store) -> None:
    """A Redis and a store with the same identity."""
    assert compare_store(connection, store) is StoreMatch.SAME


@pytest.fixture
def another_store(tmp_path: Path) -> Store:
    return open_store(f"file:{tmp_path}/another")


def test_a_new_set_gets_one_identity(connection: redis.Redis, store: Store, named: None) -> None:
    before = connection.hgetall(IDENTITY), store.get(MARKER_KEY)
    assert compare_store(connection, store) is StoreMatch.SAME
    assert (connection.hgetall(IDENTITY), store.get(MARKER_KEY)) == before


def test_concurrent_processes_agree_on_an_identity(redis_url: str, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def start(connection: redis.Redis, store: Store) -> StoreMatch:
        together.wait()
        return compare_store(connection, store)

    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        each = [stack.enter_context(redis.Redis.from_url(redis_url)) for _ in range(4)]
        for number in range(40):  # the race does not occur every time
            each[0].flushall()
            store = open_store(f"file:{tmp_path}/{number}")
            found = list(threads.map(start, each, [store] * 4))
            assert [*found, compare_store(each[0], store)] == [StoreMatch.SAME] * 5


def test_an_identity_written_between_two_reads_is_no_loss(
    connection: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store.get

    def name_it_first(key: str) -> bytes:
        monkeypatch.undo()
        assert compare_store(connection, store) is StoreMatch.SAME  # as another process would
        return read(key)

    monkeypatch.setattr(store, "get", name_it_first)
    assert compare_store(connection, store) is StoreMatch.SAME


@pytest.mark.parametrize("until", ["nothing is stored", "it is stored"])
def test_an_interrupted_start_is_completed(
    connection: redis.Redis, store: Store, named: None, tmp_path: Path, until: str
) -> None:
    marker = tmp_path / "store" / MARKER_KEY
    connection.hdel(IDENTITY, "stored")
    if until == "nothing is stored":
        marker.unlink()
    assert compare_store(connection, store) is StoreMatch.SAME
    marker.unlink()
    assert compare_store(connection, store) is StoreMatch.STORE_LOST


def test_a_redis_that_lost_its_data_is_noticed(
    connection: redis.Redis, store: Store, named: None
) -> None:
    connection.flushall()
    assert compare_store(connection, store) is StoreMatch.REDIS_LOST
    assert not connection.exists(IDENTITY)  # absent until somebody adopts the store


def test_another_store_is_noticed(
    connection: redis.Redis, named: None, another_store: Store
) -> None:
    assert compare_store(connection, another_store) is StoreMatch.STORE_LOST
    with pytest.raises(MissingArtifactError):
        another_store.get(MARKER_KEY)


@pytest.mark.parametrize("content", [b'{"set": "00000000000000000000000000000000"}', b"", b"[]"])
def test_the_store_of_another_set_is_noticed(
    connection: redis.Redis, named: None, another_store: Store, content: bytes
) -> None:
    another_store.put(MARKER_KEY, content)
    assert compare_store(connection, another_store) is StoreMatch.DIFFERENT
    assert another_store.get(MARKER_KEY) == content


def test_a_loss_is_accepted_by_a_new_identity(
    connection: redis.Redis, store: Store, named: None, another_store: Store
) -> None:
    adopt_store(connection, another_store)
    assert compare_store(connection, another_store) is StoreMatch.SAME
    assert compare_store(connection, store) is StoreMatch.DIFFERENT  # the old one is foreign


def test_an_unavailable_store_is_no_mismatch(connection: redis.Redis, tmp_path: Path) -> None:
    with _refusing(tmp_path) as store:
        with pytest.raises(StoreError):
            compare_store(connection, store)
        identity = StoreIdentity(connection, store)
        assert identity.recent() is StoreMatch.SAME
        assert not identity.fits
    assert compare_store(connection, open_store(f"file:{tmp_path}/refusing")) is StoreMatch.SAME


def test_a_mismatch_is_logged_once_and_so_is_its_end(
    connection: redis.Redis, store: Store, named: None
) -> None:
    identity, name = StoreIdentity(connection, store), connection.hgetall(IDENTITY)
    with capture_logs() as lines:
        identity.look()
        connection.delete(IDENTITY)
        assert identity.look() is identity.look() is identity.recent() is StoreMatch.REDIS_LOST
        connection.hset(IDENTITY, mapping=name)
        identity.look()
        identity.look()
    [appeared, over] = lines
    assert (appeared["log_level"], appeared["match"]) == ("error", "redis_lost")
    assert "Redis has lost its data" in appeared["reason"]
    assert (over["log_level"], over["was"]) == ("info", "redis_lost")


def test_a_recent_result_is_not_checked_again(
    connection: redis.Redis, store: Store, named: None
) -> None:
    identity = StoreIdentity(connection, store)
    assert identity.recent() is StoreMatch.SAME
    connection.flushall()
    assert identity.recent() is identity.last is StoreMatch.SAME
    assert identity.look() is identity.recent() is StoreMatch.REDIS_LOST


def test_logs_have_fixed_words_for_each_match() -> None:
    assert list(StoreMatch) == ["same", "redis_lost", "store_lost", "different"]
    assert [match.store_fits for match in StoreMatch] == [True, True, False, False]


def test_a_match_is_cached_for_ten_seconds_and_a_mismatch_for_one(
    connection: redis.Redis, store: Store, named: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    identity, name = StoreIdentity(connection, store), connection.hgetall(IDENTITY)
    identity.look()
    connection.delete(IDENTITY)
    now += 9.9
    assert identity.recent() is StoreMatch.SAME
    now += 0.1
    assert identity.recent() is StoreMatch.REDIS_LOST
    connection.hset(IDENTITY, mapping=name)
    now += 0.9
    assert identity.recent() is StoreMatch.REDIS_LOST
    now += 0.1
    assert identity.recent() is StoreMatch.SAME


def test_a_store_in_memory_has_no_identity(connection: redis.Redis) -> None:
    assert StoreIdentity(connection, open_store("memory:")).look() is StoreMatch.SAME
    assert not connection.exists(IDENTITY)


@contextmanager
def _refusing(tmp_path: Path) -> Iterator[Store]:
    """Replace the store's folder by a file for a while."""
    store = open_store(f"file:{tmp_path}/refusing")
    (tmp_path / "refusing").rmdir()
    (tmp_path / "refusing").write_text("no folder")
    yield store
    (tmp_path / "refusing").unlink()
