"""Scores of coalitions in Redis: jobs like explanations, but unlisted and deleted soon."""

import pytest

from service.infra.artifacts import Artifact, ArtifactSection, AttemptArtifacts
from service.jobs.admission_limits import OwnerShareFullError
from service.jobs.facets import facets_of
from service.jobs.records import CoalitionSpec
from service.jobs.redis_keys import SCORES_ID, key_of, new_id
from service.jobs.rq_job import EXPLAIN
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.scores import (
    PICTURE_S,
    SCORES_S,
    Coalition,
    CoalitionScores,
    MaskedPicture,
    ScoredOutput,
)
from tests.ledger import Ledger

ID = "scr_" + "a1" * 16
SCORES = CoalitionScores(
    outputs=[ScoredOutput(index=3, label="é", base_value=-0.5, score=1e-9)], scores=[[0.1 + 0.2]]
)
PICTURE = MaskedPicture(png=b"AP8=")  # in base64
QUEUES = ("rq:queue:test", "rq:queue:test:intermediate", "rq:wip:test", f"rq:job:{ID}")
LOST = Failure(code=ErrorCode.STORE_UNAVAILABLE, detail="the store is away")


@pytest.fixture
def asked(spec):
    """Makes the spec of a job for scores, or for a picture."""

    def ask(*, picture=False, owner=None):
        sections = {"size": 9, "sha256": "0" * 64}
        coalitions = CoalitionSpec(
            explanation=new_id(),
            result="b" * 32,
            artifacts=AttemptArtifacts(
                shape=(1, 1, 1, 1),
                attributions=Artifact(**sections),
                blocks=ArtifactSection(**sections, offset=0),
            ),
            explained=((3, "é"),),
            regions=4,
            coalitions=(Coalition(hidden=[2]),),
            outputs=() if picture else (3,),
            picture=picture,
        )
        return spec.model_copy(update={"coalitions": coalitions, "owner": owner})

    return ask


@pytest.fixture
def accept(ledger, asked):
    def accept(**options):
        spec = asked(**options)
        ledger.accept(ID, spec, timeout_s=60)
        return spec

    return accept


@pytest.mark.parametrize(
    ("answer", "seconds"), [(SCORES, SCORES_S), (PICTURE, PICTURE_S)], ids=["scores", "picture"]
)
def test_scores_are_jobs_that_are_deleted_by_themselves(
    ledger, connection, accept, answer, seconds
):
    spec = accept(picture=answer is PICTURE)
    assert SCORES_ID.fullmatch(ID)
    assert connection.lrange("rq:queue:test", 0, -1) == [ID.encode()]
    assert EXPLAIN.encode() in connection.hget(f"rq:job:{ID}", "data")
    assert connection.ttl(key_of(ID)) == -1  # no expiry while it waits
    attempt = ledger.begin(ID)
    ledger.finish(ID, attempt, Status.SUCCEEDED, answer=answer)
    state = ledger.read(ID)
    assert (state.status, state.spec, state.answer) == (Status.SUCCEEDED, spec, answer)
    assert state.expires_at == pytest.approx(state.finished_at + seconds)
    assert 0 < connection.ttl(key_of(ID)) <= seconds
    assert ledger.expired() == []
    assert not connection.exists(*QUEUES, "shapshot:explanations", "shapshot:waiting")


def test_scores_of_silent_workers_are_retried_up_to_the_maximum(
    ledger, connection, accept, silence
):
    accept()
    for _ in range(2):
        silence(ID, ledger.begin(ID))
        assert ledger.reap(max_attempts=3) == 1
        assert ledger.read(ID).status is Status.QUEUED
    silence(ID, ledger.begin(ID))
    ledger.reap(max_attempts=3)
    state = ledger.read(ID)
    assert (state.status, state.error.code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert 0 < connection.ttl(key_of(ID)) <= SCORES_S
    assert not connection.exists(*QUEUES)


def test_an_equal_request_joins_scores_unless_they_failed(ledger, connection, accept, asked):
    first = accept()
    accept(picture=True)  # a second request with this id writes nothing
    assert ledger.read(ID).spec == first
    attempt = ledger.begin(ID)
    accept()
    assert ledger.read(ID).status is Status.RUNNING
    ledger.finish(ID, attempt, Status.SUCCEEDED, answer=SCORES)
    accept()
    assert ledger.read(ID).answer == SCORES
    assert not connection.exists("rq:queue:test")


@pytest.mark.parametrize("ended", ["failed", "canceled"])
def test_failed_scores_are_computed_again_on_request(ledger, connection, accept, ended):
    accept()
    if ended == "failed":
        ledger.finish(ID, ledger.begin(ID), Status.FAILED, error=LOST)
    else:
        assert ledger.cancel(ID) == "canceled"
    assert connection.ttl(key_of(ID)) > 0
    accept()
    state = ledger.read(ID)
    assert (state.status, state.error, state.attempts) == (Status.QUEUED, None, 0)
    assert (state.finished_at, state.expires_at) == (None, None)
    assert connection.ttl(key_of(ID)) == -1
    assert connection.lrange("rq:queue:test", 0, -1) == [ID.encode()]
    assert connection.hgetall("shapshot:waiting") == {b"jobs": b"1"}


def test_failed_explanations_are_not_computed_again(ledger, spec):
    id_ = new_id()
    ledger.accept(id_, spec, timeout_s=60)
    ledger.finish(id_, ledger.begin(id_), Status.FAILED, error=LOST)
    ledger.accept(id_, spec, timeout_s=60)
    assert ledger.read(id_).status is Status.FAILED


def test_scores_count_against_the_share_of_their_owner(connection, settings, asked):
    capped = Ledger.of(connection, settings.model_copy(update={"max_queued_per_key": 1}))
    capped.accept(ID, asked(owner="ann"), timeout_s=60)
    assert connection.hgetall("shapshot:waiting") == {b"jobs": b"1", b"jobs:ann": b"1"}
    with pytest.raises(OwnerShareFullError):
        capped.accept("scr_" + "b" * 32, asked(owner="ann"), timeout_s=60)
    capped.accept("scr_" + "c" * 32, asked(owner="bob"), timeout_s=60)


@pytest.mark.parametrize("keep_s", ["", "soon", "nan", "inf", "-1", "1e300", "0.5"])
def test_a_forged_keep_s_does_not_keep_a_worker_from_finishing(ledger, connection, accept, keep_s):
    accept()
    connection.hset(key_of(ID), "keep_s", keep_s)
    ledger.finish(ID, ledger.begin(ID), Status.SUCCEEDED, answer=SCORES)
    assert not connection.exists(*QUEUES)


def test_scores_have_no_facets(ledger, connection, accept):
    spec = accept()
    ledger.finish(ID, ledger.begin(ID), Status.SUCCEEDED, answer=SCORES)
    assert not connection.hexists(key_of(ID), "facets")
    assert facets_of(Status.QUEUED, spec)  # of the explanation
    assert list(connection.scan_iter("shapshot:index:*")) == []
