"""Waiting jobs are counted and limited in one step, also under concurrency."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import ClassVar

import pytest
import redis

from service.jobs.admission_limits import AdmissionLimits, OwnerShareFullError, QueueFullError
from service.jobs.leases import FencedError
from service.jobs.redis_keys import INDEX, as_text, key_of, new_batch_id, new_id
from service.jobs.submissions import StillRunningError
from service.schemas.documents import Status
from tests.ledger import Ledger


@pytest.fixture
def capped(connection):
    """Makes a ledger with caps."""

    def make(**caps):
        return Ledger(
            connection, queue="test", lease_s=30, retention_s=60, caps=AdmissionLimits(**caps)
        )

    return make


@pytest.fixture
def spec_of(spec):
    """Makes the spec of a job with this owner and size of upload."""

    def make(owner=None, size=1):
        image = spec.image.model_copy(update={"bytes": size})
        return spec.model_copy(update={"owner": owner, "image": image})

    return make


def accept(ledger, spec):
    ledger.accept(explanation_id := new_id(), spec, timeout_s=60)
    return explanation_id


def counted(connection) -> dict[str, int]:
    return {as_text(k): int(v) for k, v in connection.hgetall("shapshot:waiting").items()}


def recounted(connection) -> dict[str, int]:
    """Returns the same counts from the explanations themselves."""
    total: Counter[str] = Counter()
    for member in connection.zrange(INDEX, 0, -1):
        raw = connection.hgetall(key_of(as_text(member)))
        if raw[b"status"] == b"queued":
            for of in ("", f":{raw[b'owner'].decode()}"):
                total[f"jobs{of}"] += 1
                total[f"bytes{of}"] += int(raw[b"bytes"])
    return dict(total)


@pytest.mark.parametrize(
    ("caps", "refusal"),
    [
        ({"jobs": 2}, QueueFullError),
        ({"bytes": 25}, QueueFullError),
        ({"owner_jobs": 2}, OwnerShareFullError),
        ({"owner_bytes": 25}, OwnerShareFullError),
    ],
)
def test_a_cap_is_enforced_exactly_and_a_refusal_leaves_no_trace(
    capped, spec_of, connection, caps, refusal
):
    ledger = capped(**caps)
    for _ in range(2):
        accept(ledger, spec_of("ann", 10))
    before = set(connection.keys()), counted(connection)
    with pytest.raises(refusal, match="no room for 1 more, of 10 bytes"):
        accept(ledger, spec_of("ann", 10))
    assert (set(connection.keys()), counted(connection)) == before


def test_an_owner_at_a_cap_leaves_room_for_others(capped, spec_of):
    ledger = capped(owner_jobs=1)
    for owner in ("ann", "bob", None, None):
        accept(ledger, spec_of(owner))
    with pytest.raises(OwnerShareFullError):
        accept(ledger, spec_of("bob"))


def test_an_upload_above_the_cap_of_bytes_is_accepted_if_nothing_waits(capped, spec_of):
    ledger = capped(bytes=5)
    accept(ledger, spec_of(size=10))
    with pytest.raises(QueueFullError):
        accept(ledger, spec_of(size=1))


def test_beginning_a_job_frees_room_and_releasing_it_takes_room(capped, spec_of):
    ledger = capped(jobs=1)
    first = accept(ledger, spec_of())
    attempt = ledger.begin(first)
    second = accept(ledger, spec_of())
    ledger.release(first, attempt)
    ledger.cancel(second)
    with pytest.raises(QueueFullError):
        accept(ledger, spec_of())


def test_before_any_job_has_ended_there_is_no_retry_time(capped, spec_of):
    ledger = capped(jobs=1)
    accept(ledger, spec_of())
    with pytest.raises(QueueFullError) as refused:
        accept(ledger, spec_of())
    assert refused.value.retry_s is None


@pytest.mark.parametrize(("ended", "more", "seconds"), [(50, 1, 2), (50, 20, 40), (1, 3, 300)])
def test_the_retry_time_follows_from_the_rate_of_ending_jobs(
    capped, spec_of, connection, ended, more, seconds
):
    """50 ends in 100 s are one every 2 s; older ends fade, so slightly fewer count."""
    ledger = capped(jobs=50)
    for _ in range(50):
        accept(ledger, spec_of())
    now = time.time()
    rate = {"jobs": ended, "at": now, "since": now - 100}
    connection.hset("shapshot:ended", mapping=rate)
    batch_id = new_batch_id()
    specs = {new_id(): spec_of() for _ in range(more)}
    with pytest.raises(QueueFullError) as refused:
        ledger.accept_batch(batch_id, specs, timeout_s=60)
    assert 0.8 * seconds - 1 < refused.value.retry_s <= seconds + 1


def test_an_ending_job_is_counted_once_and_the_rate_restarts_after_an_empty_queue(
    capped, spec_of, connection
):
    ledger = capped()
    first, second = accept(ledger, spec_of()), accept(ledger, spec_of())
    attempt = ledger.begin(first)
    ledger.finish(first, attempt, Status.SUCCEEDED)
    assert float(connection.hget("shapshot:ended", "jobs")) == 1
    ledger.finish(second, ledger.begin(second), Status.FAILED)
    assert 1.9 < float(connection.hget("shapshot:ended", "jobs")) <= 2
    accept(ledger, spec_of())
    assert float(connection.hget("shapshot:ended", "jobs")) == 0


def test_a_job_ends_even_if_the_rate_was_removed_meanwhile(capped, spec_of, connection):
    ledger = capped()
    attempt = ledger.begin(explanation_id := accept(ledger, spec_of()))
    connection.delete("shapshot:ended")
    ledger.finish(explanation_id, attempt, Status.SUCCEEDED)
    assert ledger.read(explanation_id).status is Status.SUCCEEDED


class RandomClient(threading.Thread):
    """Applies random transitions to its own jobs and those of the other threads."""

    ids: ClassVar[list[str]] = []

    def __init__(self, seed: int, ledger: Ledger, connection: redis.Redis, spec_of) -> None:
        super().__init__()
        self._dice = random.Random(seed)  # noqa: S311 - not for secrets
        self._ledger, self._redis, self._spec_of = ledger, connection, spec_of
        self.steps = 0

    def run(self) -> None:
        for _ in range(150):
            self._dice.choice((self._ask, self._ask, self._work, self._cancel, self._delete))()
            self._ledger.reap(max_attempts=2)
            self.steps += 1

    def _ask(self) -> None:
        spec = self._spec_of(self._dice.choice(("ann", "bob")), self._dice.randint(1, 20))
        specs = {new_id(): spec for _ in range(self._dice.randint(1, 4))}
        try:
            self._ledger.accept_batch(new_batch_id(), specs, timeout_s=60)
            self.ids.extend(specs)
        except (QueueFullError, OwnerShareFullError):
            self._work()

    def _work(self) -> None:
        """Take the next job and begin any; finish it, release it, or stop renewing its lease."""
        self._redis.lmove("rq:queue:test", "rq:queue:test:intermediate")
        id_ = self._any()
        attempt = self._ledger.begin(id_)
        ends = (self._end, self._ledger.release, self._fall_silent)
        with suppress(FencedError):  # leases end at once here, so another thread may be faster
            if attempt:
                self._dice.choice(ends)(id_, attempt)

    def _end(self, id_: str, attempt: str) -> None:
        self._ledger.finish(id_, attempt, Status.SUCCEEDED)

    def _fall_silent(self, id_: str, attempt: str) -> None:
        self._redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})

    def _cancel(self) -> None:
        self._ledger.cancel(self._any())

    def _delete(self) -> None:
        with suppress(StillRunningError):
            self._ledger.delete(self._any())

    def _any(self) -> str:
        return self._dice.choice(self.ids or [new_id()])


def test_counts_stay_exact_under_concurrent_transitions(connection, spec_of):
    hasty = Ledger(  # leases end at once, so any begun job may be requeued
        connection,
        queue="test",
        lease_s=0,
        retention_s=60,
        caps=AdmissionLimits(jobs=40, bytes=300, owner_jobs=25),
    )
    clients = [RandomClient(seed, hasty, connection, spec_of) for seed in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [client.steps for client in clients] == [150] * 6
    assert counted(connection) == recounted(connection)
    for _ in range(30):
        accept(Ledger(connection, queue="test", lease_s=30, retention_s=60), spec_of("ann", 3))
    assert counted(connection) == recounted(connection)
    for member in connection.zrange(INDEX, 0, -1):
        hasty.cancel(as_text(member))
    assert counted(connection) == {}


@pytest.mark.parametrize(
    ("reached", "kind", "limit"),
    [
        ("server", QueueFullError, "at most 7 explanations, of 800 bytes"),
        ("owner", OwnerShareFullError, "at most 3 explanations of a key, of 400 bytes"),
    ],
)
def test_a_refusal_names_the_limit_the_request_and_the_retry_time(reached, kind, limit):
    refusal = AdmissionLimits(7, 800, 3, 400).refusal(reached, 2, 50, retry_s=9)
    assert type(refusal) is kind
    assert str(refusal) == f"{limit}, may be queued; no room for 2 more, of 50 bytes"
    assert refusal.retry_s == 9
