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


class FairQueue:
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
def fair_queue(connection, spec):
    return FairQueue(connection, spec)


def test_a_single_flow_is_served_in_order_of_submission(fair_queue):
    ids = fair_queue.join("batch", count=5) + fair_queue.join("batch", count=5)
    assert fair_queue.waiting() == ids


def test_an_interactive_job_does_not_wait_for_a_backlog_of_batches(fair_queue):
    fair_queue.join("batch", count=200)
    fair_queue.serve(20)
    fair_queue.join("interactive")
    assert ("interactive", None) in fair_queue.serve(2)


def test_a_batch_does_not_wait_for_a_stream_of_interactive_jobs(fair_queue):
    """A batch joins while interactive jobs arrive faster than they are served."""
    fair_queue.join("interactive", count=40)
    fair_queue.serve(10)
    fair_queue.join("batch", count=3)
    served = []
    for _ in range(15):
        fair_queue.join("interactive", count=2)
        served += fair_queue.serve(1)
    assert served.count(("batch", None)) == 3


def test_a_key_with_a_backlog_does_not_delay_another(fair_queue):
    fair_queue.join("interactive", "ann", count=200)
    fair_queue.serve(20)
    fair_queue.join("interactive", "bob", count=2)
    assert fair_queue.serve(4).count(("interactive", "bob")) == 2


def test_with_backlogs_everywhere_the_shares_are_the_weights(fair_queue):
    weights = {("interactive", "ann"): 4, ("batch", "ann"): 1, ("batch", "bob"): 1}
    for flow in weights:
        fair_queue.join(*flow, count=150)
    served = Counter(fair_queue.serve(150))
    for flow, weight in weights.items():
        assert abs(served[flow] - 150 * weight / 6) <= 2


def test_an_idle_flow_saves_up_no_credit(fair_queue):
    fair_queue.join("batch", "ann", count=50)
    fair_queue.serve(30)
    fair_queue.join("batch", "bob", count=50)
    assert abs(Counter(fair_queue.serve(20))[("batch", "bob")] - 10) <= 1


def test_a_batch_that_begins_at_once_is_charged_to_its_own_flow(fair_queue):
    siblings = fair_queue.join("batch", "ann", count=20)
    fair_queue.join("batch", "bob", count=20)
    fair_queue.next()
    for sibling in siblings[1:]:
        assert fair_queue.ledger.begin(sibling)
    fair_queue.join("batch", "ann", count=5)
    assert Counter(fair_queue.serve(18)) == {("batch", "bob"): 18}


@pytest.mark.parametrize("leave", [Ledger.cancel, Ledger.delete])
def test_a_job_that_leaves_before_its_turn_costs_its_flow_nothing(fair_queue, connection, leave):
    ann = fair_queue.join("batch", "ann", count=6)
    fair_queue.join("batch", "bob", count=6)
    for place in (1, 4, 5):
        leave(fair_queue.ledger, ann[place])
    fair_queue.join("batch", "ann", count=2)
    left, tags = [fair_queue.flows[id_] for id_ in fair_queue.waiting()], fair_queue.tags()
    connection.flushall()
    for owner, count in (("ann", 3), ("bob", 6), ("ann", 2)):
        fair_queue.join("batch", owner, count)
    assert left == [fair_queue.flows[id_] for id_ in fair_queue.waiting()]
    assert tags == fair_queue.tags()


def test_a_requeued_job_stays_charged(fair_queue):
    fair_queue.join("batch", "ann", count=3)
    id_, attempt = fair_queue.next()
    fair_queue.ledger.release(id_, attempt)
    before = fair_queue.tags()[1:]
    fair_queue.ledger.cancel(id_)
    assert fair_queue.tags() == before


def test_a_requeued_job_is_the_next(fair_queue):
    fair_queue.join("interactive", "ann", count=10)
    fair_queue.join("batch", "bob", count=2)
    fair_queue.serve(5)
    id_, attempt = fair_queue.next()
    fair_queue.ledger.release(id_, attempt)
    assert fair_queue.waiting()[0] == id_


def test_flows_that_have_been_served_are_forgotten(fair_queue):
    for number in range(50):
        fair_queue.join("interactive", f"key-{number}", count=2)
    fair_queue.serve(100)
    fair_queue.join("batch", count=2)
    fair_queue.serve(2)
    assert fair_queue.redis.zcard("shapshot:flows") <= 1


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
    fair_queue = FairQueue(connection, spec)
    put_back: set[str] = set()
    for what, *details in steps:
        if what == "join":
            (priority, owner), count = details
            fair_queue.join(priority, owner, count)
        elif what == "cancel":
            for id_ in fair_queue.waiting()[details[0] :][:1]:
                fair_queue.ledger.cancel(id_)
        elif taken := fair_queue.next():
            id_, attempt = taken
            if what == "serve":
                fair_queue.ledger.finish(id_, attempt, Status.SUCCEEDED)
            else:
                put_back.add(id_)
                give_back(fair_queue, id_, attempt, silently=what == "lose")
        assert fair_queue.tags() == sorted(fair_queue.tags())
        for flow in set(fair_queue.flows.values()):
            waiting = [id_ for id_ in fair_queue.waiting() if fair_queue.flows[id_] == flow]
            never_begun = [id_ for id_ in waiting if id_ not in put_back]
            assert never_begun == [id_ for id_ in fair_queue.flows if id_ in never_begun]
            assert set(waiting[: len(waiting) - len(never_begun)]) <= put_back


def give_back(fair_queue: FairQueue, id_: str, attempt: str, *, silently: bool) -> None:
    if silently:
        fair_queue.redis.zadd("rq:wip:test", {f"{id_}:{attempt}": 1})
        fair_queue.ledger.reap(max_attempts=1000)
    else:
        fair_queue.ledger.release(id_, attempt)
