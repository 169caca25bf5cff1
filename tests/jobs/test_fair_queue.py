"""Fair turns: the shares of priorities and owners, and the order of the queue."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.jobs.redis_keys import as_text, key_of, new_batch_id, new_id
from service.schemas.documents import Status
from tests.ledger import Ledger

LIST, INTERMEDIATE = "rq:queue:test", "rq:queue:test:intermediate"
FLOWS = st.tuples(st.sampled_from(["interactive", "batch"]), st.sampled_from(["ann", "bob", None]))


class Line:
    """A ledger, the flow of each job it accepted, and a worker that takes the next job."""

    def __init__(self, connection, spec) -> None:
        self.redis = connection
        self.ledger = Ledger(connection, queue="test", lease_s=0, retention_s=60)
        self.flows: dict[str, tuple[str, str | None]] = {}
        self._spec = spec

    def join(self, priority: str, owner: str | None = None, count: int = 1) -> list[str]:
        chosen = self._spec.settings.model_copy(update={"priority": priority})
        spec = self._spec.model_copy(update={"settings": chosen, "owner": owner})
        specs = {new_id(): spec for _ in range(count)}
        self.ledger.accept_batch(new_batch_id(), specs, timeout_s=60)
        self.flows |= dict.fromkeys(specs, (priority, owner))
        return list(specs)

    def next(self) -> tuple[str, str] | None:
        """Begin the job at the head, as RQ and our worker do; return its id and attempt."""
        taken = self.redis.lmove(LIST, INTERMEDIATE)
        if taken is None:
            return None
        attempt = self.ledger.begin(as_text(taken))
        assert attempt
        return as_text(taken), attempt

    def serve(self, count: int) -> list[tuple[str, str | None]]:
        """Begin and finish the next jobs; return the flow of each."""
        served = []
        for _ in range(count):
            id_, attempt = self.next()
            self.ledger.finish(id_, attempt, Status.SUCCEEDED)
            served.append(self.flows[id_])
        return served

    def waiting(self) -> list[str]:
        return [as_text(member) for member in self.redis.lrange(LIST, 0, -1)]

    def tags(self) -> list[float]:
        return [float(self.redis.hget(key_of(id_), "tag")) for id_ in self.waiting()]


@pytest.fixture
def line(connection, spec):
    return Line(connection, spec)


def test_a_single_flow_is_served_in_order_of_submission(line):
    ids = line.join("batch", count=5) + line.join("batch", count=5)
    assert line.waiting() == ids


def test_an_interactive_job_does_not_wait_for_a_backlog_of_batches(line):
    line.join("batch", count=200)
    line.serve(20)
    line.join("interactive")
    assert ("interactive", None) in line.serve(2)


def test_a_batch_does_not_wait_for_a_stream_of_interactive_jobs(line):
    """A batch joins while interactive jobs arrive faster than they are served."""
    line.join("interactive", count=40)
    line.serve(10)
    line.join("batch", count=3)
    served = []
    for _ in range(15):
        line.join("interactive", count=2)
        served += line.serve(1)
    assert served.count(("batch", None)) == 3


def test_a_key_with_a_backlog_does_not_delay_another(line):
    line.join("interactive", "ann", count=200)
    line.serve(20)
    line.join("interactive", "bob", count=2)
    assert line.serve(4).count(("interactive", "bob")) == 2


def test_with_backlogs_everywhere_the_shares_are_the_weights(line):
    weights = {("interactive", "ann"): 4, ("batch", "ann"): 1, ("batch", "bob"): 1}
    for flow in weights:
        line.join(*flow, count=150)
    served = Counter(line.serve(150))
    for flow, weight in weights.items():
        assert abs(served[flow] - 150 * weight / 6) <= 2


def test_an_idle_flow_saves_up_no_credit(line):
    line.join("batch", "ann", count=50)
    line.serve(30)
    line.join("batch", "bob", count=50)
    assert abs(Counter(line.serve(20))[("batch", "bob")] - 10) <= 1


def test_a_batch_that_begins_at_once_is_charged_to_its_own_flow(line):
    siblings = line.join("batch", "ann", count=20)
    line.join("batch", "bob", count=20)
    line.next()
    for sibling in siblings[1:]:
        assert line.ledger.begin(sibling)
    line.join("batch", "ann", count=5)
    assert Counter(line.serve(18)) == {("batch", "bob"): 18}


@pytest.mark.parametrize("leave", [Ledger.cancel, Ledger.delete])
def test_a_job_that_leaves_before_its_turn_costs_its_flow_nothing(line, connection, leave):
    ann = line.join("batch", "ann", count=6)
    line.join("batch", "bob", count=6)
    for place in (1, 4, 5):
        leave(line.ledger, ann[place])
    line.join("batch", "ann", count=2)
    left, tags = [line.flows[id_] for id_ in line.waiting()], line.tags()
    connection.flushall()
    for owner, count in (("ann", 3), ("bob", 6), ("ann", 2)):
        line.join("batch", owner, count)
    assert left == [line.flows[id_] for id_ in line.waiting()]
    assert tags == line.tags()


def test_a_requeued_job_stays_charged(line):
    line.join("batch", "ann", count=3)
    id_, attempt = line.next()
    line.ledger.release(id_, attempt)
    before = line.tags()[1:]
    line.ledger.cancel(id_)
    assert line.tags() == before


def test_a_requeued_job_is_the_next(line):
    line.join("interactive", "ann", count=10)
    line.join("batch", "bob", count=2)
    line.serve(5)
    id_, attempt = line.next()
    line.ledger.release(id_, attempt)
    assert line.waiting()[0] == id_


def test_flows_that_have_been_served_are_forgotten(line):
    for number in range(50):
        line.join("interactive", f"key-{number}", count=2)
    line.serve(100)
    line.join("batch", count=2)
    line.serve(2)
    assert line.redis.zcard("shapshot:flows") <= 1


@pytest.mark.parametrize("tag", [None, "much"])
def test_a_job_without_a_tag_keeps_its_place(accepted, waiting, connection, tag):
    first = accepted()
    connection.hdel(key_of(first), "tag")
    if tag:
        connection.hset(key_of(first), "tag", tag)
    second = accepted()
    assert waiting() == [first, second]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), FLOWS, st.integers(1, 4)),
        st.tuples(st.sampled_from(["serve", "give back", "lose", "cancel"]), st.integers(0, 50)),
    ),
    max_size=40,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_in_any_interleaving_the_queue_is_sorted_and_each_flow_first_come_first_served(
    connection, spec, steps
):
    connection.flushall()
    line = Line(connection, spec)
    put_back: set[str] = set()
    for what, *details in steps:
        if what == "join":
            (priority, owner), count = details
            line.join(priority, owner, count)
        elif what == "cancel":
            for id_ in line.waiting()[details[0] :][:1]:
                line.ledger.cancel(id_)
        elif taken := line.next():
            id_, attempt = taken
            if what == "serve":
                line.ledger.finish(id_, attempt, Status.SUCCEEDED)
            else:
                put_back.add(id_)
                give_back(line, id_, attempt, silently=what == "lose")
        assert line.tags() == sorted(line.tags())
        for flow in set(line.flows.values()):
            waiting = [id_ for id_ in line.waiting() if line.flows[id_] == flow]
            never_begun = [id_ for id_ in waiting if id_ not in put_back]
            assert never_begun == [id_ for id_ in line.flows if id_ in never_begun]
            assert set(waiting[: len(waiting) - len(never_begun)]) <= put_back


def give_back(line: Line, id_: str, attempt: str, *, silently: bool) -> None:
    if silently:
        line.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
        line.ledger.reap(max_attempts=1000)
    else:
        line.ledger.release(id_, attempt)
