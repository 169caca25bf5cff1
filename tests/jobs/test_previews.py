"""Previews in Redis: written by the attempt that owns the job, and gone with it."""

import pytest

from service.jobs.leases import PREVIEW_S, Heartbeat, LeaseStatus
from service.jobs.redis_keys import CHANGES, key_of, preview_key_of, watched_key_of
from service.jobs.scripts import EncodedPreview
from service.schemas.documents import Status

PREVIEW = EncodedPreview('{"evaluations": 50}', 50)


@pytest.fixture
def running(ledger, accepted):
    id_ = accepted()
    return id_, ledger.begin(id_)


@pytest.fixture
def shown(ledger, running, connection):
    """A running explanation that has a preview."""
    id_, attempt = running
    ledger.heartbeat(Heartbeat(id_, attempt, preview=PREVIEW))
    assert connection.exists(preview_key_of(id_))
    return id_, attempt


def kept(connection, ledger, id_):
    return connection.get(preview_key_of(id_)), ledger.read(id_).preview


def test_a_preview_comes_with_a_heartbeat_and_is_told(connection, ledger, running):
    id_, attempt = running
    version = ledger.read(id_).version
    with connection.pubsub(ignore_subscribe_messages=True) as told:
        told.subscribe(CHANGES)
        told.get_message(timeout=20)
        assert ledger.heartbeat(Heartbeat(id_, attempt, preview=PREVIEW)) == [LeaseStatus.OWNED]
        assert told.get_message(timeout=20)["data"] == id_.encode()
    assert kept(connection, ledger, id_) == (PREVIEW.text.encode(), 50)
    assert ledger.read(id_).version == version + 1
    assert 0 < connection.ttl(preview_key_of(id_)) <= PREVIEW_S  # whatever happens to the worker


def test_a_worker_hears_that_somebody_looks_unless_it_is_to_cancel(connection, ledger, running):
    beat = Heartbeat(*running)
    assert ledger.heartbeat(beat) == [LeaseStatus.OWNED]
    connection.set(watched_key_of(beat.id), 1, ex=100)
    assert ledger.heartbeat(beat) == [LeaseStatus.WATCHED]
    ledger.cancel(beat.id)
    assert ledger.heartbeat(beat) == [LeaseStatus.CANCEL]


def test_an_attempt_that_lost_its_lease_shows_nothing(connection, ledger, running, silence):
    id_, lost = running
    silence(id_, lost)
    ledger.reap(max_attempts=3)
    second = ledger.begin(id_)
    assert ledger.heartbeat(Heartbeat(id_, lost, preview=PREVIEW)) == [LeaseStatus.FENCED]
    assert kept(connection, ledger, id_) == (None, None)
    ledger.finish(id_, second, Status.SUCCEEDED)
    assert ledger.heartbeat(Heartbeat(id_, second, preview=PREVIEW)) == [LeaseStatus.FENCED]
    assert kept(connection, ledger, id_) == (None, None)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_a_preview_is_gone_with_the_end(connection, ledger, shown, status):
    ledger.finish(*shown, status)
    assert kept(connection, ledger, shown[0]) == (None, None)


@pytest.mark.parametrize("how", ["released", "reaped", "canceled and reaped"])
def test_a_preview_does_not_outlive_its_attempt(connection, ledger, shown, silence, how):
    id_, attempt = shown
    if how == "released":
        ledger.release(id_, attempt)
    else:
        if "canceled" in how:
            ledger.cancel(id_)
        silence(id_, attempt)
        assert ledger.reap(max_attempts=3) == 1
    assert kept(connection, ledger, id_) == (None, None)
    ledger.begin(id_)
    assert kept(connection, ledger, id_) == (None, None)


def test_what_else_is_under_the_key_stops_no_worker(connection, ledger, running):
    id_, attempt = running
    connection.rpush(preview_key_of(id_), "foreign")
    connection.hset(key_of(id_), "preview", "foreign")
    assert ledger.read(id_) is None  # until it is overwritten
    assert ledger.heartbeat(Heartbeat(id_, attempt, preview=PREVIEW)) == [LeaseStatus.OWNED]
    assert kept(connection, ledger, id_) == (PREVIEW.text.encode(), 50)
