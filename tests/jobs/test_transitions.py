"""Every change that each transition makes in Redis, and every notice that it publishes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.jobs.admission_limits import AdmissionLimits
from service.jobs.leases import Heartbeat
from service.jobs.records import JobSpec, ProgressCount
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import AUDIT, CHANGES, new_batch_id, new_id
from service.jobs.scripts import Accept, Begin, NewExplanation, Scripts
from service.schemas.documents import ErrorCode, Failure, Status
from tests.ledger import Ledger

LEASE_S, RETENTION_S, TOMBSTONE_S = 100, 1000, 10_000
QUEUES = {"rq:queues": ["rq:queue:test"]}
LONG = ("{", "[", "worker.jobs.explain", "20")  # beginnings of long texts, shown as "…"


class Observed:
    """A ledger and the content of its Redis, with names that are the same in every run."""

    def __init__(self, connection: redis.Redis, spec: JobSpec) -> None:
        self.redis = connection
        self.ledger = Ledger(connection, queue="test", lease_s=LEASE_S, retention_s=RETENTION_S)
        self.spec = spec
        self._names: dict[str, str] = {}
        self._listener = connection.pubsub(ignore_subscribe_messages=True)
        self._listener.subscribe(CHANGES)
        self._listener.get_message(timeout=20)

    def named(self, name: str, value: str) -> str:
        """Show the value as this name from now on."""
        self._names[value] = name
        return value

    def accept(self, name: str = "exp", **about: Any) -> str:
        id_ = self.named(name, new_id())
        self.ledger.accept(id_, self.spec.model_copy(update=about), timeout_s=60)
        return id_

    def take(self, id_: str, attempt: str = "attempt") -> str:
        """Begin a job as a worker does that received it from RQ."""
        self.redis.lmove("rq:queue:test", "rq:queue:test:intermediate")
        return self.named(attempt, self.ledger.begin(id_) or "")

    def told(self) -> list[str]:
        """Return the ids published since the last call."""
        found = []
        while message := self._listener.get_message(timeout=0.05):
            found.append(self._shown(message["data"]))
        return found

    def all(self, *but: str) -> dict[str, Any]:
        """Return every key and its value, except these, the facets and the audit log.

        See test_index.py and test_audit.py.
        """
        keys = {self._shown(key): key for key in self.redis.scan_iter()}
        but = (*but, AUDIT, *(name for name in keys if name.startswith("shapshot:index:")))
        return {name: self._held(key) for name, key in keys.items() if name not in but}

    def hash(self, key: str) -> dict[str, str]:
        held = self.all()[key]
        assert isinstance(held, dict)
        return held

    def close(self) -> None:
        self._listener.close()

    def _held(self, key: bytes) -> Any:
        kind = self.redis.type(key)
        if kind == b"hash":
            pairs = self.redis.hgetall(key).items()
            held: Any = {self._shown(name): self._shown(value) for name, value in pairs}
            held.pop("facets", None)
        elif kind == b"zset":
            entries = self.redis.zrange(key, 0, -1, withscores=True)
            held = {self._shown(member): self._number(score) for member, score in entries}
        elif kind == b"list":
            held = [self._shown(member) for member in self.redis.lrange(key, 0, -1)]
        elif kind == b"set":
            held = sorted(self._shown(member) for member in self.redis.smembers(key))
        else:
            held = self._shown(self.redis.get(key))
        ttl = self.redis.ttl(key)
        return (held, f"for {round(ttl, -1)} s") if ttl > 0 else held

    def _shown(self, raw: bytes) -> str:
        text = raw.decode()
        for value, name in self._names.items():
            text = text.replace(value, name)
        if text.startswith(LONG) and not re.fullmatch(r"[\d.]+", text):
            return "…"
        return str(self._number(float(text))) if re.fullmatch(r"[\d.e+]+", text) else text

    def _number(self, value: float) -> str | float:
        """Express times relative to now."""
        since = value - as_seconds(self.redis.time())
        for offset in (0, LEASE_S, RETENTION_S, 3600):
            if abs(since - offset) < 20:
                return f"now + {offset}" if offset else "now"
        return value


def begin(seen: Observed, id_: str, attempt: str) -> tuple[str, list[Any]]:
    """Run the script with a token that the test chose."""
    return Scripts(seen.redis).run(Begin(id_, "test", attempt, LEASE_S))


@pytest.fixture
def seen(connection: redis.Redis, spec: JobSpec) -> Iterator[Observed]:
    observed = Observed(connection, spec)
    yield observed
    observed.close()


RECORD = {
    "attempts": "0.0",
    "bytes": "1.0",
    "cost": "0.25",
    "created_at": "now",
    "flow": "interactive ",
    "method": "partition",
    "order": "…",
    "priority": "interactive",
    "status": "queued",
    "tag": "0.0",
    "version": "1.0",
}
JOB = {
    "created_at": "…",
    "data": "…",
    "description": "…",
    "origin": "test",
    "status": "queued",
    "timeout": "60.0",
}
WAITS = {
    "rq:job:exp": JOB,
    "rq:queue:test": ["exp"],
    **QUEUES,
    "shapshot:ended": {"at": "now", "jobs": "0.0", "since": "now"},
    "shapshot:explanation:exp": RECORD,
    "shapshot:explanations": {"exp": "now"},
    "shapshot:flows": {"interactive ": 0.25},
    "shapshot:totals": {"accepted:partition": "1.0"},
    "shapshot:waiting": {"bytes": "1.0", "jobs": "1.0"},
}
KEPT = {**QUEUES, "shapshot:explanations": {"exp": "now"}}


def test_accept(seen: Observed) -> None:
    seen.ledger.reserve(id_ := seen.named("exp", new_id()))
    assert seen.all() == {"shapshot:expiry": {"exp": "now + 3600"}}
    seen.ledger.accept(id_, seen.spec, timeout_s=60)
    assert seen.all() == WAITS
    assert seen.told() == ["exp"]


def test_accept_with_an_owner_and_a_cache_key(seen: Observed) -> None:
    seen.accept(owner="ann", cache="key")
    assert seen.all() == WAITS | {
        "shapshot:explanation:exp": RECORD
        | {"owner": "ann", "cache": "key", "flow": "interactive ann"},
        "shapshot:explanations:ann": {"exp": "now"},
        "shapshot:flows": {"interactive ann": 0.25},
        "shapshot:totals": {"accepted:partition": "1.0", "cache_misses": "1.0"},
        "shapshot:waiting": {"bytes": "1.0", "jobs": "1.0", "bytes:ann": "1.0", "jobs:ann": "1.0"},
    }


def test_accept_of_a_batch(seen: Observed) -> None:
    batch = seen.named("batch", new_batch_id())
    ids = [seen.named(name, new_id()) for name in ("one", "two")]
    spec = seen.spec.model_copy(update={"batch": batch, "owner": "ann"})
    seen.ledger.accept_batch(batch, dict.fromkeys(ids, spec), timeout_s=60)
    assert seen.hash("shapshot:explanation:batch") == {
        "created_at": "now",
        "members": "one two",
        "owner": "ann",
        "version": "1.0",
    }
    assert seen.hash("shapshot:explanation:two")["batch"] == "batch"
    assert seen.hash("shapshot:explanation:two")["tag"] == "0.25"
    assert seen.told() == ["batch", "one", "two"]
    assert seen.hash("shapshot:explanations:ann") == {"one": "now", "two": "now"}


def test_accept_of_a_cache_hit(seen: Observed, outcome: Any) -> None:
    first = seen.accept("first", cache="key")
    seen.ledger.finish(first, seen.take(first), Status.SUCCEEDED, outcome=outcome)
    seen.told()
    id_ = seen.named("exp", new_id())
    spec = seen.spec.model_copy(update={"cache": "key"})
    earlier = {id_: seen.ledger.read(first)}
    seen.ledger.accept(id_, spec, timeout_s=60, earlier=earlier)
    record = seen.hash("shapshot:explanation:exp")
    assert record["finished_at"] == record["created_at"] == "now"
    assert (record["expires_at"], record["cached_from"]) == ("now + 1000", "first")
    assert seen.hash("shapshot:expiry") == {"exp": "now + 1000", "first": "now + 1000"}
    assert seen.hash("shapshot:totals")["cache_hits"] == "1.0"
    assert seen.hash("shapshot:totals")["accepted:partition"] == "1.0"
    assert "rq:job:exp" not in seen.all()
    assert seen.told() == ["exp"]


def test_begin(seen: Observed) -> None:
    id_ = seen.accept()
    seen.take(id_)
    assert seen.all() == {
        "rq:job:exp": JOB | {"status": "started"},
        "rq:wip:test": {"exp:attempt": "now + 100"},
        **KEPT,
        "shapshot:ended": {"at": "now", "jobs": "0.0", "since": "now"},
        "shapshot:explanation:exp": RECORD
        | {
            "attempt": "attempt",
            "attempts": "1.0",
            "started_at": "now",
            "status": "running",
            "version": "2.0",
        },
        "shapshot:flows": {"interactive ": 0.25},
        "shapshot:totals": {"accepted:partition": "1.0"},
        "shapshot:virtual_time": "0.0",
    }
    assert seen.told() == ["exp", "exp"]


def test_begin_after_a_lost_reply_or_too_late(seen: Observed) -> None:
    """Neither changes anything."""
    id_ = seen.accept()
    attempt = seen.take(id_)
    before = seen.all()
    assert seen.ledger.begin(id_) is None
    assert begin(seen, id_, attempt) == ("begun", [])
    assert seen.all() == before


def test_begin_of_a_deleted_explanation_removes_its_job(seen: Observed) -> None:
    seen.redis.hset("rq:job:exp_1", "status", "queued")
    seen.redis.rpush("rq:queue:test", "exp_1")
    assert begin(seen, "exp_1", "attempt") == ("missing", [])
    assert seen.all() == {}


def test_begin_of_an_ended_explanation(seen: Observed) -> None:
    id_ = seen.accept()
    seen.ledger.cancel(id_)
    assert begin(seen, id_, "attempt") == ("not_queued", [b"canceled"])


def test_renew(seen: Observed) -> None:
    id_ = seen.accept()
    attempt = seen.take(id_)
    seen.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
    before = seen.all("rq:wip:test", "shapshot:explanation:exp")
    seen.ledger.heartbeat(Heartbeat(id_, attempt, ProgressCount(1, 9)))
    assert seen.hash("rq:wip:test") == {"exp:attempt": "now + 100"}
    record = seen.hash("shapshot:explanation:exp")
    assert (record["progress"], record["version"]) == ("…", "3.0")
    seen.ledger.heartbeat(Heartbeat(id_, attempt))
    assert seen.hash("shapshot:explanation:exp") == record
    assert seen.all("rq:wip:test", "shapshot:explanation:exp") == before
    assert seen.told() == ["exp"] * 3


def test_renew_of_another_attempt_changes_nothing(seen: Observed) -> None:
    id_ = seen.accept()
    seen.take(id_)
    before = seen.all()
    seen.ledger.heartbeat(Heartbeat(id_, "another", ProgressCount(1, 9)))
    assert seen.all() == before


def test_finish(seen: Observed, outcome: Any) -> None:
    id_ = seen.accept(cache="key")
    attempt = seen.take(id_)
    seen.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome, count=ProgressCount(9, 9))
    assert seen.all() == {
        **KEPT,
        "shapshot:cache:key": ("exp", "for 1000 s"),
        "shapshot:ended": {"at": "now", "jobs": "1.0", "since": "now"},
        "shapshot:expiry": {"exp": "now + 1000"},
        "shapshot:explanation:exp": RECORD
        | {
            "attempts": "1.0",
            "cache": "key",
            "ended": "attempt",
            "expires_at": "now + 1000",
            "finished_at": "now",
            "outcome": "…",
            "progress": "…",
            "result": "attempt",
            "started_at": "now",
            "status": "succeeded",
            "version": "3.0",
        },
        "shapshot:flows": {"interactive ": 0.25},
        "shapshot:totals": {
            "accepted:partition": "1.0",
            "cache_misses": "1.0",
            "jobs:succeeded:partition": "1.0",
        },
        "shapshot:unsealed": ["exp"],
        "shapshot:virtual_time": "0.0",
    }
    assert seen.told() == ["exp"] * 3
    before = seen.all()
    seen.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome)  # after a lost reply
    assert seen.all() == before


def test_finish_of_a_failure(seen: Observed) -> None:
    id_ = seen.accept()
    failure = Failure(code=ErrorCode.MODEL_FAILED, detail="it broke")
    seen.ledger.finish(id_, seen.take(id_), Status.FAILED, error=failure)
    record = seen.hash("shapshot:explanation:exp")
    assert (record["status"], record["error"], "result" in record) == ("failed", "…", False)
    assert seen.hash("shapshot:totals") == {
        "accepted:partition": "1.0",
        "jobs:failed:partition": "1.0",
        "failures:model_failed": "1.0",
    }


def test_cancel_of_a_queued_explanation(seen: Observed) -> None:
    id_ = seen.accept()
    seen.redis.zadd("shapshot:limbo", {id_: 1})
    assert seen.ledger.cancel(id_) == "canceled"
    ended = {
        "expires_at": "now + 1000",
        "finished_at": "now",
        "status": "canceled",
        "version": "2.0",
    }
    assert seen.all("shapshot:flows") == {
        **KEPT,
        "shapshot:ended": {"at": "now", "jobs": "0.0", "since": "now"},
        "shapshot:expiry": {"exp": "now + 1000"},
        "shapshot:explanation:exp": RECORD | ended,
        "shapshot:totals": {"accepted:partition": "1.0", "jobs:canceled:partition": "1.0"},
    }
    assert seen.hash("shapshot:flows") == {"interactive ": 0.0}
    assert seen.told() == ["exp", "exp"]


def test_cancel_of_a_running_explanation(seen: Observed) -> None:
    id_ = seen.accept()
    seen.take(id_)
    before = seen.all("shapshot:explanation:exp")
    assert seen.ledger.cancel(id_) == "canceling"
    record = seen.hash("shapshot:explanation:exp")
    assert (record["status"], record["cancel"], record["version"]) == ("canceling", "1.0", "3.0")
    assert seen.all("shapshot:explanation:exp") == before
    assert seen.ledger.cancel(id_) == "canceling"
    assert seen.told() == ["exp"] * 3


def test_release(seen: Observed) -> None:
    first, second = seen.accept(), seen.accept("other")
    attempt = seen.take(first)
    seen.ledger.release(first, attempt)
    assert seen.all()["rq:queue:test"] == ["exp", "other"]
    assert seen.hash("shapshot:explanation:exp") == RECORD | {
        "attempts": "0.0",
        "started_at": "now",
        "version": "3.0",
    }
    assert seen.hash("rq:job:exp") == JOB
    assert "rq:wip:test" not in seen.all()
    assert seen.hash("shapshot:waiting") == {"bytes": "2.0", "jobs": "2.0"}
    assert seen.told() == ["exp", "other", "exp", "exp"]
    seen.ledger.release(first, seen.take(first, "again"), counts=True)
    assert seen.hash("shapshot:explanation:exp")["attempts"] == "1.0"
    assert seen.ledger.begin(second)


def test_a_requeued_job_precedes_all_later_ones(seen: Observed) -> None:
    """Its tag is 0; with the tag of its turn, a new flow would start before it."""
    for number in range(3):
        seen.accept(f"before {number}")
        id_ = seen.redis.lindex("rq:queue:test", 0).decode()
        seen.ledger.finish(id_, seen.take(id_), Status.SUCCEEDED)
    late = seen.accept("late")
    tag = seen.hash("shapshot:explanation:late")["tag"]
    assert tag == "0.75"
    seen.ledger.release(late, seen.take(late))
    assert seen.hash("shapshot:explanation:late")["tag"] == "0.0"
    seen.redis.delete("shapshot:virtual_time", "shapshot:flows")
    seen.accept("of another", owner="bob")
    assert seen.all()["rq:queue:test"] == ["late", "of another"]


def test_release_after_a_cancel(seen: Observed) -> None:
    id_ = seen.accept()
    attempt = seen.take(id_)
    seen.ledger.cancel(id_)
    seen.ledger.release(id_, attempt)
    record = seen.hash("shapshot:explanation:exp")
    assert (record["status"], "cancel" in record, "attempt" in record) == ("canceled", False, False)
    assert record["expires_at"] == "now + 1000"


def test_reap_of_a_silent_worker(seen: Observed) -> None:
    id_ = seen.accept()
    attempt = seen.take(id_)
    seen.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
    assert seen.ledger.reap(max_attempts=2) == 1
    assert seen.all()["shapshot:reaped:test"] == "now"
    assert seen.hash("shapshot:explanation:exp") == RECORD | {
        "attempts": "1.0",
        "started_at": "now",
        "version": "3.0",
    }
    assert seen.all()["rq:queue:test"] == ["exp"]
    attempt = seen.take(id_, "again")
    seen.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
    assert seen.ledger.reap(max_attempts=2) == 1
    record = seen.hash("shapshot:explanation:exp")
    assert (record["status"], record["error"]) == ("failed", "…")
    assert record["expires_at"] == "now + 1000"
    assert seen.hash("shapshot:totals")["failures:worker_lost"] == "1.0"


def test_reap_of_a_job_to_be_canceled(seen: Observed) -> None:
    id_ = seen.accept()
    attempt = seen.take(id_)
    seen.ledger.cancel(id_)
    seen.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
    assert seen.ledger.reap(max_attempts=2) == 1
    record = seen.hash("shapshot:explanation:exp")
    assert (record["status"], record["expires_at"]) == ("canceled", "now + 1000")


def test_reap_of_an_id_that_was_taken_and_never_begun(seen: Observed) -> None:
    id_ = seen.accept()
    seen.redis.lmove("rq:queue:test", "rq:queue:test:intermediate")
    assert seen.ledger.reap(max_attempts=2) == 0
    assert seen.hash("shapshot:limbo") == {"exp": "now"}
    assert seen.ledger.reap(max_attempts=2) == 0  # less than a lease ago
    seen.redis.zadd("shapshot:limbo", {id_: 1})
    assert seen.ledger.reap(max_attempts=2) == 1
    assert seen.all("shapshot:reaped:test", "shapshot:explanation:exp") == {
        key: value for key, value in WAITS.items() if key != "shapshot:explanation:exp"
    }
    assert seen.hash("shapshot:explanation:exp") == RECORD | {"version": "2.0"}


@pytest.mark.parametrize("leave", [Ledger.cancel, Ledger.delete, Ledger.begin])
def test_a_job_that_leaves_the_queue_leaves_limbo(leave: Any, seen: Observed) -> None:
    id_ = seen.accept()
    seen.redis.lmove("rq:queue:test", "rq:queue:test:intermediate")
    seen.ledger.reap(max_attempts=2)
    leave(seen.ledger, id_)
    assert not {"shapshot:limbo", "rq:queue:test:intermediate"} & set(seen.all())


def test_delete(seen: Observed) -> None:
    id_ = seen.accept(owner="ann", cache="key")
    seen.ledger.delete(id_)
    assert seen.all("shapshot:flows", "shapshot:ended") == {
        **QUEUES,
        "shapshot:expiry": {"exp": 0.0},
        "shapshot:totals": {
            "accepted:partition": "1.0",
            "cache_misses": "1.0",
            "jobs:deleted:partition": "1.0",
        },
    }
    assert seen.told() == ["exp", "exp"]


def test_tombstone(seen: Observed) -> None:
    id_ = seen.accept(owner="ann", cache="key")
    seen.ledger.finish(id_, seen.take(id_), Status.SUCCEEDED)
    seen.told()
    seen.ledger.leave_tombstone(id_, tombstone_s=TOMBSTONE_S)
    kept = {"created_at": "now", "owner": "ann", "status": "expired"}
    assert seen.all("shapshot:flows", "shapshot:ended", "shapshot:totals") == {
        **QUEUES,
        "shapshot:explanation:exp": (kept, "for 10000 s"),
        "shapshot:virtual_time": "0.0",
    }
    assert seen.told() == ["exp"]


def test_tombstone_of_a_record_without_its_time(seen: Observed) -> None:
    id_ = seen.accept()
    seen.redis.hdel(f"shapshot:explanation:{id_}", "created_at")
    seen.ledger.leave_tombstone(id_, tombstone_s=TOMBSTONE_S)
    kept = {"created_at": "0.0", "status": "expired"}
    assert seen.all()["shapshot:explanation:exp"] == (kept, "for 10000 s")


@pytest.mark.parametrize(
    ("caps", "whose"),
    [(AdmissionLimits(jobs=0), b"server"), (AdmissionLimits(owner_bytes=0), b"owner")],
)
def test_accept_beyond_a_cap_names_the_cap(
    seen: Observed, caps: AdmissionLimits, whose: bytes
) -> None:
    accept = Accept(
        queue="test",
        flow="interactive ann",
        cost=1,
        owner="ann",
        jobs=1,
        bytes=1,
        caps=caps,
        retention_s=RETENTION_S,
        claim=None,
        batch=None,
        explanations=[NewExplanation(new_id(), {"status": "queued"}, {"status": "queued"})],
    )
    seen.accept(owner="ann")  # a single upload is accepted whatever its size
    assert Scripts(seen.redis).run(accept) == ("refused", [whose])
    seen.redis.hset("shapshot:ended", "jobs", 100)
    assert Scripts(seen.redis).run(accept) == ("refused", [whose, 1])
