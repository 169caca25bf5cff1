"""Counts of jobs: each end counts once, also if it is reported twice or too late."""

import time

import pytest

from service.jobs.leases import FencedError, ModelUsage
from service.jobs.redis_keys import new_batch_id, new_id
from service.jobs.statistics import read_statistics
from service.jobs.worker_registry import announce
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.models import ModelStatus

QUEUE = "test"
WORK = ModelUsage(evaluations=500, batches=8, slots=512, model_s=1.25, masking_s=0.5)


@pytest.fixture
def totals(connection):
    return lambda: dict(read_statistics(connection, QUEUE).totals)


def test_an_end_is_counted_once_with_its_model_usage(ledger, accepted, totals):
    explanation_id = accepted()
    attempt = ledger.begin(explanation_id)
    for _ in range(2):  # sent again after a lost reply
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


def test_an_accept_that_is_sent_again_counts_once(ledger, spec, totals):
    explanation_id = new_id()
    for _ in range(2):
        ledger.accept(explanation_id, spec, timeout_s=60)
    assert totals() == {"accepted:partition": 1}


def test_every_explanation_of_a_batch_counts(ledger, spec, totals):
    batch_id = new_batch_id()
    specs = {new_id(): spec.model_copy(update={"batch": batch_id}) for _ in range(3)}
    ledger.accept_batch(batch_id, specs, timeout_s=60)
    ledger.cancel(next(iter(specs)))
    assert totals() == {"accepted:partition": 3, "jobs:canceled:partition": 1}


def test_an_attempt_without_its_lease_adds_nothing(ledger, accepted, silence, totals):
    explanation_id = accepted()
    lost = ledger.begin(explanation_id)
    silence(explanation_id, lost)
    ledger.reap(max_attempts=3)
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.SUCCEEDED, work=WORK)
    with pytest.raises(FencedError):
        ledger.finish(explanation_id, lost, Status.SUCCEEDED, work=WORK)
    assert totals()["jobs:succeeded:partition"] == 1
    assert totals()["evaluations"] == 500


def test_a_failure_is_counted_by_its_code_too(ledger, accepted, totals):
    explanation_id = accepted()
    failure = Failure(code=ErrorCode.INVALID_IMAGE, detail="broken")
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.FAILED, error=failure)
    assert totals()["jobs:failed:partition"] == totals()["failures:invalid_image"] == 1


def test_a_job_out_of_attempts_is_a_failure(ledger, accepted, silence, totals):
    explanation_id = accepted()
    silence(explanation_id, ledger.begin(explanation_id))
    ledger.reap(max_attempts=1)
    assert totals()["jobs:failed:partition"] == totals()["failures:worker_lost"] == 1


def test_a_cancel_counts_only_if_it_ends_the_job(ledger, accepted, totals):
    waiting, running = accepted(), accepted()
    attempt = ledger.begin(running)
    for explanation_id in (waiting, waiting, running):
        ledger.cancel(explanation_id)
    assert totals()["jobs:canceled:partition"] == 1
    ledger.finish(running, attempt, Status.CANCELED)
    assert totals()["jobs:canceled:partition"] == 2


def test_a_job_deleted_before_it_began_is_counted(ledger, accepted, totals):
    waiting, done = accepted(), accepted()
    ledger.finish(done, ledger.begin(done), Status.SUCCEEDED)
    ledger.delete(waiting)
    ledger.delete(done)
    assert totals() == {
        "accepted:partition": 2,
        "jobs:deleted:partition": 1,
        "jobs:succeeded:partition": 1,
    }


def test_cache_misses_are_counted(ledger, spec, totals):
    for cache in ("key", None):  # the result of the second is not kept for others
        asked = spec.model_copy(update={"cache": cache})
        ledger.accept(new_id(), asked, timeout_s=60)
    assert totals() == {"accepted:partition": 2, "cache_misses": 1}


def test_a_release_does_not_count_as_an_end(ledger, accepted, totals):
    explanation_id = accepted()
    ledger.release(explanation_id, ledger.begin(explanation_id))
    assert totals() == {"accepted:partition": 1}


@pytest.mark.parametrize("key", ["shapshot:totals", "shapshot:ended"])
def test_corrupt_statistics_do_not_keep_a_job_from_ending(key, ledger, accepted, connection):
    connection.set(key, "somebody else's")
    explanation_id = accepted()
    ledger.finish(explanation_id, ledger.begin(explanation_id), Status.SUCCEEDED, work=WORK)
    assert ledger.read(explanation_id).status is Status.SUCCEEDED


def test_traffic_has_waiting_and_running_jobs_and_the_served_models(
    ledger, accepted, spec, connection, new_card
):
    nobody = read_statistics(connection, QUEUE).waiting
    assert [(line.jobs, line.oldest_s) for line in nobody.values()] == [(0, 0), (0, 0)]
    ledger.begin(accepted())
    _, oldest = accepted(), accepted()  # the queue is not ordered by age
    connection.hset(f"shapshot:explanation:{oldest}", "created_at", time.time() - 100)
    patient = spec.settings.model_copy(update={"priority": "batch"})
    later = spec.model_copy(update={"settings": patient})
    ledger.accept(new_id(), later, timeout_s=60)
    loading = new_card(name="other", status=ModelStatus.LOADING)
    announce(connection, "box-1", [new_card(), loading], lease_s=30)
    traffic = read_statistics(connection, QUEUE)
    assert {name: line.jobs for name, line in traffic.waiting.items()} == {
        "interactive": 2,
        "batch": 1,
    }
    assert 100 <= traffic.waiting["interactive"].oldest_s < 200
    assert 0 < traffic.waiting["batch"].oldest_s < 100
    assert traffic.running == 1
    assert traffic.workers == {"box-1": ["tiny"]}
