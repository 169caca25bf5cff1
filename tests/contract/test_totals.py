"""What is counted of jobs: each end once, whatever is said twice or too late."""

import time

import pytest

from service.contract.ledger import Fenced, Work, new_batch_id, new_id
from service.contract.presence import announce
from service.contract.schema import ErrorCode, Failure, ModelStatus, Status
from service.contract.totals import read_traffic

QUEUE = "test"
WORK = Work(evaluations=500, batches=8, slots=512, model_s=1.25, masking_s=0.5)


@pytest.fixture
def totals(connection):
    return lambda: dict(read_traffic(connection, QUEUE).totals)


def test_an_end_is_counted_once_with_the_work_it_took(ledger, accepted, totals):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    ledger.finish(explanation_id, attempt, Status.SUCCEEDED, work=WORK)
    with pytest.raises(Fenced):  # as where the first answer got lost
        ledger.finish(explanation_id, attempt, Status.SUCCEEDED, work=WORK)
    assert totals() == {
        "accepted:partition": 1,
        "jobs:succeeded:partition": 1,
        "evaluations": 500,
        "batches": 8,
        "slots": 512,
        "model_s": 1.25,
        "masking_s": 0.5,
    }


def test_an_accept_that_is_sent_again_counts_once(ledger, order, totals):
    explanation_id = new_id()
    for _ in range(2):
        ledger.accept(explanation_id, order, timeout_s=60)
    assert totals() == {"accepted:partition": 1}


def test_every_explanation_of_a_batch_counts_by_itself(ledger, order, totals):
    batch_id = new_batch_id()
    orders = {new_id(): order.model_copy(update={"batch": batch_id}) for _ in range(3)}
    ledger.accept_batch(batch_id, orders, timeout_s=60)
    ledger.cancel(next(iter(orders)))
    assert totals() == {"accepted:partition": 3, "jobs:canceled:partition": 1}


def test_a_zombie_adds_nothing(ledger, accepted, connection, totals):
    explanation_id = accepted()
    lost = ledger.begin(explanation_id)
    connection.zadd(f"rq:wip:{QUEUE}", {f"{explanation_id}:{lost}": time.time() - 1})
    ledger.reap(max_attempts=3)
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.SUCCEEDED, work=WORK)
    with pytest.raises(Fenced):
        ledger.finish(explanation_id, lost, Status.SUCCEEDED, work=WORK)
    assert totals()["jobs:succeeded:partition"] == 1
    assert totals()["evaluations"] == 500


def test_a_failure_is_counted_by_its_code_too(ledger, accepted, totals):
    explanation_id = accepted()
    failure = Failure(code=ErrorCode.INVALID_IMAGE, detail="broken")
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.FAILED, error=failure)
    assert totals()["jobs:failed:partition"] == totals()["failures:invalid_image"] == 1


def test_a_job_given_up_is_a_failure(ledger, accepted, connection, totals):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    connection.zadd(f"rq:wip:{QUEUE}", {f"{explanation_id}:{attempt}": time.time() - 1})
    ledger.reap(max_attempts=1)
    assert totals()["jobs:failed:partition"] == totals()["failures:worker_lost"] == 1


def test_a_cancel_counts_where_it_ends_the_job_and_only_there(ledger, accepted, totals):
    waiting, running = accepted(), accepted()
    attempt = ledger.begin(running)
    for explanation_id in (waiting, waiting, running):
        ledger.cancel(explanation_id)
    assert totals()["jobs:canceled:partition"] == 1
    ledger.finish(running, attempt, Status.CANCELED)
    assert totals()["jobs:canceled:partition"] == 2


def test_a_job_deleted_before_it_began_is_accounted_for(ledger, accepted, totals):
    waiting, done = accepted(), accepted()
    ledger.finish(done, ledger.begin(done), Status.SUCCEEDED)
    ledger.delete(waiting)
    ledger.delete(done)
    assert totals() == {
        "accepted:partition": 2,
        "jobs:deleted:partition": 1,
        "jobs:succeeded:partition": 1,
    }


def test_a_release_is_no_end(ledger, accepted, totals):
    explanation_id = accepted()
    ledger.release(explanation_id, ledger.begin(explanation_id))
    assert totals() == {"accepted:partition": 1}


def test_traffic_tells_what_waits_and_runs_and_who_serves_what(
    ledger, accepted, connection, new_card
):
    assert read_traffic(connection, QUEUE).waiting.jobs == 0
    ledger.begin(accepted())
    oldest, _ = accepted(), accepted()
    connection.hset(f"shapshot:explanation:{oldest}", "created_at", time.time() - 100)
    loading = new_card(name="other", status=ModelStatus.LOADING)
    announce(connection, "box-1", [new_card(), loading], lease_s=30)
    traffic = read_traffic(connection, QUEUE)
    assert traffic.waiting.jobs == 2
    assert 100 <= traffic.waiting.oldest_s < 200
    assert traffic.running == 1
    assert traffic.workers == {"box-1": ["tiny"]}
