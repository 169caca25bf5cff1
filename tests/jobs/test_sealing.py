"""The chain of records: each result has one, in one order, whoever seals it."""

import threading

import pytest

from service.infra.artifacts import Artifact
from service.jobs.records import RecordReference
from service.jobs.redis_keys import RECORDS, UNSEALED, key_of
from service.jobs.sealing import ChainError, RecordChain
from service.schemas.documents import Status
from tests.tiny import OUTCOME


def record(sequence, payload_sha256):
    envelope = Artifact.of(b"envelope")
    return RecordReference(
        envelope=envelope, payload_sha256=payload_sha256, key_id="key", sequence=sequence
    )


@pytest.fixture
def chain(connection):
    return RecordChain(connection)


def finish(ledger, id_, status=Status.SUCCEEDED, outcome=OUTCOME):
    attempt = ledger.begin(id_)
    ledger.finish(id_, attempt, status, outcome=outcome)


def test_a_result_waits_for_its_record_until_it_has_one(ledger, chain, accepted):
    id_ = accepted()
    assert chain.unsealed(10) == []
    finish(ledger, id_)
    assert chain.unsealed(10) == [id_]
    assert chain.add(id_, record(0, "1" * 64)) == "sealed"
    assert chain.unsealed(10) == []
    assert ledger.read(id_).record == record(0, "1" * 64)
    assert chain.head().previous == "1" * 64
    assert chain.add(id_, record(1, "2" * 64)) == "known"
    assert [entry.sha256 for entry in chain.entries(0, 10)] == ["1" * 64]


def test_what_ended_without_a_result_has_no_record(ledger, chain, accepted):
    id_ = accepted()
    finish(ledger, id_, Status.FAILED, outcome=None)
    assert chain.unsealed(10) == []
    assert chain.add(id_, record(0, "1" * 64)) == "gone"


def test_a_record_follows_the_last_one_only(ledger, chain, accepted):
    first, second = accepted(), accepted()
    finish(ledger, first)
    finish(ledger, second)
    head = chain.head()
    assert chain.add(first, record(head.sequence, "1" * 64)) == "sealed"
    assert chain.add(second, record(head.sequence, "2" * 64)) == "moved"
    assert ledger.read(second).record is None
    assert chain.add(second, record(1, "2" * 64)) == "sealed"
    assert [entry.id for entry in chain.entries(0, 10)] == [first, second]


def test_sealing_changes_the_version_of_the_document(ledger, chain, accepted):
    id_ = accepted()
    finish(ledger, id_)
    before = ledger.read(id_).version
    chain.add(id_, record(0, "1" * 64))
    assert ledger.read(id_).version == before + 1


def test_a_deleted_explanation_waits_for_no_record_and_stays_in_the_chain(ledger, chain, accepted):
    sealed, unsealed = accepted(), accepted()
    finish(ledger, sealed)
    finish(ledger, unsealed)
    chain.add(sealed, record(0, "1" * 64))
    ledger.delete(sealed)
    ledger.delete(unsealed)
    assert chain.unsealed(10) == []
    assert [entry.id for entry in chain.entries(0, 10)] == [sealed]
    assert chain.add(unsealed, record(1, "2" * 64)) == "gone"


def test_a_tombstone_keeps_the_record(ledger, chain, connection, accepted):
    id_ = accepted()
    finish(ledger, id_)
    chain.add(id_, record(0, "1" * 64))
    ledger.leave_tombstone(id_, tombstone_s=60)
    assert ledger.read(id_).status is Status.EXPIRED
    assert ledger.read(id_).record.payload_sha256 == "1" * 64


def test_nothing_follows_an_entry_that_cannot_be_read(chain, connection):
    connection.rpush(RECORDS, "no entry")
    with pytest.raises(ChainError):
        chain.head()


def test_of_many_that_seal_each_result_is_sealed_once_in_one_chain(ledger, connection, accepted):
    ids = [accepted() for _ in range(12)]
    for id_ in ids:
        finish(ledger, id_)

    def seal_all():
        own = RecordChain(connection)
        while waiting := own.unsealed(5):
            for id_ in waiting:
                sequence = own.head().sequence
                own.add(id_, record(sequence, f"{sequence:064x}"))

    threads = [threading.Thread(target=seal_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = RecordChain(connection).entries(0, 100)
    assert sorted(entry.id for entry in entries) == sorted(ids)
    assert [int(entry.sha256, 16) for entry in entries] == list(range(12))
    assert connection.scard(UNSEALED) == 0
    assert all(connection.hexists(key_of(id_), "record") for id_ in ids)
