"""The scripts at the edges of their limits, and with incomplete records."""

import time

import pytest
import redis

from service.infra.artifacts import Artifact, ArtifactSection, AttemptArtifacts
from service.jobs.admission_limits import AdmissionLimits, OwnerShareFullError, QueueFullError
from service.jobs.records import JobSpec
from service.jobs.redis_keys import EXPIRY, as_text, cache_key_of, key_of, new_batch_id, new_id
from service.jobs.worker_registry import WORKERS, announce
from service.schemas.documents import Status
from tests.ledger import Ledger

LEASE_S, RETENTION_S = 100, 1000
LIST, INTERMEDIATE, WIP = "rq:queue:test", "rq:queue:test:intermediate", "rq:wip:test"
LOOKED = "shapshot:reaped:test"


class JobsHarness:
    """A ledger with long leases, and specs that differ a little."""

    def __init__(self, connection: redis.Redis, spec: JobSpec) -> None:
        self.redis = connection
        self.spec = spec
        self.ledger = self.with_caps()

    def with_caps(self, *, lease_s: int = LEASE_S, **caps: int) -> Ledger:
        of = {"queue": "test", "lease_s": lease_s, "retention_s": RETENTION_S}
        return Ledger(self.redis, **of, caps=AdmissionLimits(**caps))

    def accept(self, ledger: Ledger | None = None, *, size: int = 1, **about: object) -> str:
        image = self.spec.image.model_copy(update={"bytes": size})
        spec = self.spec.model_copy(update={"image": image, **about})
        (ledger or self.ledger).accept(id_ := new_id(), spec, timeout_s=60)
        return id_

    def waiting(self) -> list[str]:
        return [as_text(member) for member in self.redis.lrange(LIST, 0, -1)]

    def end_at(self, rate: dict[str, float]) -> None:
        """Record this many ended jobs; `since` and `at` are seconds ago."""
        now = time.time()
        ended = {"jobs": rate["jobs"], "at": now - rate["at"], "since": now - rate["since"]}
        self.redis.hset("shapshot:ended", mapping=ended)


@pytest.fixture
def harness(connection: redis.Redis, spec: JobSpec) -> JobsHarness:
    return JobsHarness(connection, spec)


# One job ends every 8.5 s: ten in 100 s, of which older ones count less
TEN = {"jobs": 10, "at": 0, "since": 100}


@pytest.mark.parametrize(("own", "others", "jobs"), [(1, 3, 4), (2, 4, 3)])
def test_the_retry_time_of_an_owner_follows_from_their_own_jobs(harness, own, others, jobs):
    capped = harness.with_caps(owner_jobs=own)
    for _ in range(own):
        harness.accept(owner="ann")
    for _ in range(others):
        harness.accept(owner="bob")
    harness.end_at(TEN)
    with pytest.raises(OwnerShareFullError) as refused:
        harness.accept(capped, owner="ann")
    assert refused.value.retry_s == pytest.approx(8.5 * jobs, abs=1.5)


def test_the_retry_time_follows_from_the_bytes_to_be_freed(harness):
    for _ in range(4):
        harness.accept(size=10)
    harness.end_at(TEN)
    with pytest.raises(QueueFullError) as refused:
        harness.accept(harness.with_caps(bytes=40), size=20)
    assert refused.value.retry_s == pytest.approx(8.5 * 2, abs=1.5)


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        ({"jobs": 10, "at": 0, "since": 0}, 2),  # all within the last second, rounded up
        ({"jobs": 10, "at": 300, "since": 300}, 516),  # 10/e left of 190 s
    ],
)
def test_the_rate_is_that_of_recent_ends(harness, rate, seconds):
    for _ in range(10):
        harness.accept()
    harness.end_at(rate)
    specs = {new_id(): harness.spec for _ in range(10)}
    with pytest.raises(QueueFullError) as refused:
        harness.with_caps(jobs=10).accept_batch(new_batch_id(), specs, timeout_s=60)
    assert refused.value.retry_s == pytest.approx(seconds, rel=0.02)


def test_a_lower_tag_precedes_a_higher_one_at_the_head(harness):
    settings = harness.spec.settings.model_copy(update={"priority": "batch"})
    first, second = (harness.accept(settings=settings) for _ in range(2))
    harness.redis.lmove(LIST, INTERMEDIATE)
    harness.ledger.begin(first)
    interactive = harness.accept()
    assert harness.waiting() == [interactive, second]


def test_a_job_that_leaves_the_queue_leaves_the_others_in_order(harness):
    first, second, third = (harness.accept() for _ in range(3))
    harness.ledger.cancel(first)
    assert harness.waiting() == [second, third]


def test_a_job_that_begins_before_its_turn_does_not_advance_virtual_time(harness):
    _, second = harness.accept(), harness.accept()
    assert harness.ledger.begin(second)
    assert not harness.redis.exists("shapshot:virtual_time")


@pytest.mark.parametrize("list_", [LIST, INTERMEDIATE])
def test_an_id_that_is_queued_twice_is_removed_twice(harness, list_):
    id_ = harness.accept()
    harness.redis.lpush(list_, id_, id_)
    harness.ledger.begin(id_)
    assert not harness.redis.exists(LIST, INTERMEDIATE)


def test_an_id_that_was_taken_twice_is_requeued_once(harness):
    id_ = harness.accept()
    harness.redis.lmove(LIST, INTERMEDIATE)
    harness.redis.lpush(INTERMEDIATE, id_)
    harness.redis.zadd("shapshot:limbo", {id_: 1})
    assert harness.ledger.reap(max_attempts=3) == 1
    assert harness.waiting() == [id_]
    assert not harness.redis.exists(INTERMEDIATE)


@pytest.mark.parametrize("bytes_", [None, "many"])
def test_a_record_without_bytes_subtracts_none_from_the_waiting_bytes(harness, bytes_):
    id_ = harness.accept()
    harness.redis.hdel(key_of(id_), "bytes")
    if bytes_:
        harness.redis.hset(key_of(id_), "bytes", bytes_)
    harness.ledger.begin(id_)
    assert harness.redis.hgetall("shapshot:waiting") == {b"bytes": b"1"}


def test_a_record_without_attempts_begins_with_the_first(harness):
    id_ = harness.accept()
    harness.redis.hdel(key_of(id_), "attempts")
    harness.ledger.begin(id_)
    assert harness.redis.hget(key_of(id_), "attempts") == b"1"


@pytest.mark.parametrize("cost", [None, "much"])
def test_a_record_without_a_cost_refunds_nothing_to_its_flow(harness, cost):
    id_ = harness.accept()
    harness.redis.hdel(key_of(id_), "cost")
    if cost:
        harness.redis.hset(key_of(id_), "cost", cost)
    harness.ledger.cancel(id_)
    assert harness.redis.zscore("shapshot:flows", "interactive ") == 0.25


def test_a_forgotten_flow_gets_no_refund(harness):
    id_ = harness.accept()
    harness.redis.delete("shapshot:flows")
    harness.ledger.cancel(id_)
    assert not harness.redis.exists("shapshot:flows")


def test_artifacts_are_recorded_as_they_were_stored(harness, outcome):
    id_ = harness.accept()
    stored = AttemptArtifacts(
        shape=(1, 1, 1, 1),
        attributions=Artifact.of(b"arrays"),
        blocks=ArtifactSection.at(0, b"arrays"),
    )
    attempt = harness.ledger.begin(id_)
    harness.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome, artifacts=stored)
    assert harness.ledger.read(id_).artifacts == stored


def test_the_first_of_an_owners_equal_results_answers(harness, outcome):
    about = {"owner": "ann", "cache": "key"}
    ids = [harness.accept(**about) for _ in range(2)]
    for id_ in ids:
        harness.ledger.finish(id_, harness.ledger.begin(id_), Status.SUCCEEDED, outcome=outcome)
    assert as_text(harness.redis.get(cache_key_of("key"))) == ids[0]


@pytest.mark.parametrize("age_s", [0.4 * LEASE_S, 0.6 * LEASE_S])
def test_a_reaper_that_was_away_for_half_a_lease_spares_live_workers(harness, age_s):
    id_ = harness.accept()
    lease = f"{id_}:{harness.ledger.begin(id_)}"
    harness.redis.zadd(WIP, {lease: time.time() - 1})
    harness.redis.set(LOOKED, time.time() - age_s)
    late = age_s > LEASE_S / 2
    assert harness.ledger.reap(max_attempts=3) == (0 if late else 1)
    if late:
        assert harness.redis.zscore(WIP, lease) == pytest.approx(time.time() + LEASE_S / 4, abs=3)


def test_the_shortest_lease_spares_live_workers_after_a_second(harness):
    brief = harness.with_caps(lease_s=1)
    id_ = harness.accept()
    harness.redis.zadd(WIP, {f"{id_}:{brief.begin(id_)}": time.time() - 1})
    harness.redis.set(LOOKED, time.time() - 1.5)
    assert brief.reap(max_attempts=3) == 0


def test_a_reap_leaves_a_live_lease_unchanged(harness):
    id_ = harness.accept()
    lease = f"{id_}:{harness.ledger.begin(id_)}"
    before = harness.redis.zscore(WIP, lease)
    assert [harness.ledger.reap(max_attempts=3) for _ in range(2)] == [0, 0]
    assert harness.redis.zscore(WIP, lease) == before


def batch_of(harness: JobsHarness, count: int) -> tuple[str, list[str]]:
    batch, ids = new_batch_id(), [new_id() for _ in range(count)]
    spec = harness.spec.model_copy(update={"batch": batch, "owner": "ann"})
    harness.ledger.accept_batch(batch, dict.fromkeys(ids, spec), timeout_s=60)
    return batch, ids


def test_a_batch_expires_only_if_none_of_it_is_running_or_canceling(harness):
    batch, ids = batch_of(harness, 3)
    attempts = [harness.ledger.begin(id_) for id_ in ids]
    harness.ledger.finish(ids[0], attempts[0], Status.SUCCEEDED)
    assert harness.redis.zscore(EXPIRY, batch) is None  # two are running
    harness.ledger.cancel(ids[2])
    harness.ledger.finish(ids[1], attempts[1], Status.SUCCEEDED)
    assert harness.redis.zscore(EXPIRY, batch) is None  # one is canceling
    harness.ledger.finish(ids[2], attempts[2], Status.CANCELED)
    expires_at = harness.redis.zscore(EXPIRY, batch)
    assert expires_at == pytest.approx(time.time() + RETENTION_S, abs=20)


def test_a_batch_that_loses_its_last_waiting_explanation_expires_after_its_retention(harness):
    batch, [done, waiting] = batch_of(harness, 2)
    harness.ledger.finish(done, harness.ledger.begin(done), Status.SUCCEEDED)
    harness.ledger.delete(waiting)
    expires_at = harness.redis.zscore(EXPIRY, batch)
    assert expires_at == pytest.approx(time.time() + RETENTION_S, abs=20)


def test_explanations_that_only_claim_a_batch_are_not_deleted_with_it(harness):
    batch, ids = batch_of(harness, 2)
    another = harness.accept(owner="bob", batch=batch)
    unnamed = harness.accept(owner="ann")
    harness.redis.hset(key_of(batch), "members", " ".join([*ids, another, unnamed]))
    assert set(harness.ledger.delete(batch)) == {batch, *ids}
    assert harness.ledger.read(another)
    assert harness.ledger.read(unnamed)


def test_silent_workers_leave_the_list_and_their_cards_expire_with_their_lease(
    connection, new_card
):
    connection.zadd(WORKERS, {"silent": 1})
    announce(connection, "w", [new_card()], lease_s=30)
    assert connection.zrange(WORKERS, 0, -1) == [b"w"]
    assert 0 < connection.ttl("shapshot:worker:w") <= 30
