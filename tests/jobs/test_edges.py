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


class Hand:
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
def hand(connection: redis.Redis, spec: JobSpec) -> Hand:
    return Hand(connection, spec)


# One job ends every 8.5 s: ten in 100 s, of which older ones count less
TEN = {"jobs": 10, "at": 0, "since": 100}


@pytest.mark.parametrize(("own", "others", "jobs"), [(1, 3, 4), (2, 4, 3)])
def test_the_retry_time_of_an_owner_follows_from_their_own_jobs(hand, own, others, jobs):
    capped = hand.with_caps(owner_jobs=own)
    for _ in range(own):
        hand.accept(owner="ann")
    for _ in range(others):
        hand.accept(owner="bob")
    hand.end_at(TEN)
    with pytest.raises(OwnerShareFullError) as refused:
        hand.accept(capped, owner="ann")
    assert refused.value.retry_s == pytest.approx(8.5 * jobs, abs=1.5)


def test_the_retry_time_follows_from_the_bytes_to_be_freed(hand):
    for _ in range(4):
        hand.accept(size=10)
    hand.end_at(TEN)
    with pytest.raises(QueueFullError) as refused:
        hand.accept(hand.with_caps(bytes=40), size=20)
    assert refused.value.retry_s == pytest.approx(8.5 * 2, abs=1.5)


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        ({"jobs": 10, "at": 0, "since": 0}, 2),  # all within the last second, rounded up
        ({"jobs": 10, "at": 300, "since": 300}, 516),  # 10/e left of 190 s
    ],
)
def test_the_rate_is_that_of_recent_ends(hand, rate, seconds):
    for _ in range(10):
        hand.accept()
    hand.end_at(rate)
    specs = {new_id(): hand.spec for _ in range(10)}
    with pytest.raises(QueueFullError) as refused:
        hand.with_caps(jobs=10).accept_batch(new_batch_id(), specs, timeout_s=60)
    assert refused.value.retry_s == pytest.approx(seconds, rel=0.02)


def test_a_lower_tag_goes_before_a_higher_one_at_the_head(hand):
    settings = hand.spec.settings.model_copy(update={"priority": "batch"})
    first, second = (hand.accept(settings=settings) for _ in range(2))
    hand.redis.lmove(LIST, INTERMEDIATE)
    hand.ledger.begin(first)
    interactive = hand.accept()
    assert hand.waiting() == [interactive, second]


def test_a_job_that_leaves_the_queue_leaves_the_others_in_order(hand):
    first, second, third = (hand.accept() for _ in range(3))
    hand.ledger.cancel(first)
    assert hand.waiting() == [second, third]


def test_a_job_that_begins_before_its_turn_does_not_advance_virtual_time(hand):
    _, second = hand.accept(), hand.accept()
    assert hand.ledger.begin(second)
    assert not hand.redis.exists("shapshot:virtual_time")


@pytest.mark.parametrize("list_", [LIST, INTERMEDIATE])
def test_an_id_that_is_queued_twice_is_removed_twice(hand, list_):
    id_ = hand.accept()
    hand.redis.lpush(list_, id_, id_)
    hand.ledger.begin(id_)
    assert not hand.redis.exists(LIST, INTERMEDIATE)


def test_an_id_that_was_taken_twice_is_requeued_once(hand):
    id_ = hand.accept()
    hand.redis.lmove(LIST, INTERMEDIATE)
    hand.redis.lpush(INTERMEDIATE, id_)
    hand.redis.zadd("shapshot:limbo", {id_: 1})
    assert hand.ledger.reap(max_attempts=3) == 1
    assert hand.waiting() == [id_]
    assert not hand.redis.exists(INTERMEDIATE)


@pytest.mark.parametrize("bytes_", [None, "many"])
def test_a_record_without_bytes_subtracts_none_from_the_waiting_bytes(hand, bytes_):
    id_ = hand.accept()
    hand.redis.hdel(key_of(id_), "bytes")
    if bytes_:
        hand.redis.hset(key_of(id_), "bytes", bytes_)
    hand.ledger.begin(id_)
    assert hand.redis.hgetall("shapshot:waiting") == {b"bytes": b"1"}


def test_a_record_without_attempts_begins_with_the_first(hand):
    id_ = hand.accept()
    hand.redis.hdel(key_of(id_), "attempts")
    hand.ledger.begin(id_)
    assert hand.redis.hget(key_of(id_), "attempts") == b"1"


@pytest.mark.parametrize("cost", [None, "much"])
def test_a_record_without_a_cost_refunds_nothing_to_its_flow(hand, cost):
    id_ = hand.accept()
    hand.redis.hdel(key_of(id_), "cost")
    if cost:
        hand.redis.hset(key_of(id_), "cost", cost)
    hand.ledger.cancel(id_)
    assert hand.redis.zscore("shapshot:flows", "interactive ") == 0.25


def test_a_forgotten_flow_gets_no_refund(hand):
    id_ = hand.accept()
    hand.redis.delete("shapshot:flows")
    hand.ledger.cancel(id_)
    assert not hand.redis.exists("shapshot:flows")


def test_artifacts_are_recorded_as_they_were_stored(hand, outcome):
    id_ = hand.accept()
    stored = AttemptArtifacts(
        shape=(1, 1, 1, 1),
        attributions=Artifact.of(b"arrays"),
        blocks=ArtifactSection.at(0, b"arrays"),
    )
    attempt = hand.ledger.begin(id_)
    hand.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome, artifacts=stored)
    assert hand.ledger.read(id_).artifacts == stored


def test_the_first_of_an_owners_equal_results_answers(hand, outcome):
    about = {"owner": "ann", "cache": "key"}
    ids = [hand.accept(**about) for _ in range(2)]
    for id_ in ids:
        hand.ledger.finish(id_, hand.ledger.begin(id_), Status.SUCCEEDED, outcome=outcome)
    assert as_text(hand.redis.get(cache_key_of("key"))) == ids[0]


@pytest.mark.parametrize("age_s", [0.4 * LEASE_S, 0.6 * LEASE_S])
def test_a_reaper_that_was_away_for_half_a_lease_spares_live_workers(hand, age_s):
    id_ = hand.accept()
    lease = f"{id_}:{hand.ledger.begin(id_)}"
    hand.redis.zadd(WIP, {lease: time.time() - 1})
    hand.redis.set(LOOKED, time.time() - age_s)
    late = age_s > LEASE_S / 2
    assert hand.ledger.reap(max_attempts=3) == (0 if late else 1)
    if late:
        assert hand.redis.zscore(WIP, lease) == pytest.approx(time.time() + LEASE_S / 4, abs=3)


def test_the_shortest_lease_spares_live_workers_after_a_second(hand):
    brief = hand.with_caps(lease_s=1)
    id_ = hand.accept()
    hand.redis.zadd(WIP, {f"{id_}:{brief.begin(id_)}": time.time() - 1})
    hand.redis.set(LOOKED, time.time() - 1.5)
    assert brief.reap(max_attempts=3) == 0


def test_a_reap_leaves_a_live_lease_unchanged(hand):
    id_ = hand.accept()
    lease = f"{id_}:{hand.ledger.begin(id_)}"
    before = hand.redis.zscore(WIP, lease)
    assert [hand.ledger.reap(max_attempts=3) for _ in range(2)] == [0, 0]
    assert hand.redis.zscore(WIP, lease) == before


def batch_of(hand: Hand, count: int) -> tuple[str, list[str]]:
    batch, ids = new_batch_id(), [new_id() for _ in range(count)]
    spec = hand.spec.model_copy(update={"batch": batch, "owner": "ann"})
    hand.ledger.accept_batch(batch, dict.fromkeys(ids, spec), timeout_s=60)
    return batch, ids


def test_a_batch_expires_only_if_none_of_it_is_running_or_canceling(hand):
    batch, ids = batch_of(hand, 3)
    attempts = [hand.ledger.begin(id_) for id_ in ids]
    hand.ledger.finish(ids[0], attempts[0], Status.SUCCEEDED)
    assert hand.redis.zscore(EXPIRY, batch) is None  # two are running
    hand.ledger.cancel(ids[2])
    hand.ledger.finish(ids[1], attempts[1], Status.SUCCEEDED)
    assert hand.redis.zscore(EXPIRY, batch) is None  # one is canceling
    hand.ledger.finish(ids[2], attempts[2], Status.CANCELED)
    expires_at = hand.redis.zscore(EXPIRY, batch)
    assert expires_at == pytest.approx(time.time() + RETENTION_S, abs=20)


def test_a_batch_that_loses_its_last_waiting_explanation_expires_after_its_retention(hand):
    batch, [done, waiting] = batch_of(hand, 2)
    hand.ledger.finish(done, hand.ledger.begin(done), Status.SUCCEEDED)
    hand.ledger.delete(waiting)
    expires_at = hand.redis.zscore(EXPIRY, batch)
    assert expires_at == pytest.approx(time.time() + RETENTION_S, abs=20)


def test_explanations_that_only_claim_a_batch_are_not_deleted_with_it(hand):
    batch, ids = batch_of(hand, 2)
    another = hand.accept(owner="bob", batch=batch)
    unnamed = hand.accept(owner="ann")
    hand.redis.hset(key_of(batch), "members", " ".join([*ids, another, unnamed]))
    assert set(hand.ledger.delete(batch)) == {batch, *ids}
    assert hand.ledger.read(another)
    assert hand.ledger.read(unnamed)


def test_silent_workers_leave_the_list_and_their_cards_expire_with_their_lease(
    connection, new_card
):
    connection.zadd(WORKERS, {"silent": 1})
    announce(connection, "w", [new_card()], lease_s=30)
    assert connection.zrange(WORKERS, 0, -1) == [b"w"]
    assert 0 < connection.ttl("shapshot:worker:w") <= 30
