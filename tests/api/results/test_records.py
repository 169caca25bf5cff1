"""The record of a result: sealed soon after the end, once, and verified by the published keys."""

import asyncio
import json

import pytest

from service.evidence.envelopes import open_record
from service.evidence.keys import PublicKeys, SigningKey
from service.infra.artifact_store import evidence_key, record_key
from service.jobs.redis_keys import UNSEALED, key_of
from service.jobs.store_identity import compare_store

URL = "/v1/explanations"


@pytest.fixture
async def signed(tmp_path, settings, start, fake_worker, new_card, connection, store):
    """The app with a signing key and one model."""
    path = tmp_path / "key.pem"
    SigningKey.create(path)
    fake_worker.announce(new_card())
    compare_store(connection, store)
    async with start(settings.model_copy(update={"signing_key_file": path})) as api:
        yield api


async def until(condition):
    for _ in range(200):
        if found := condition():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("waited in vain")


async def opened(api, id_):
    answer = await api.get(f"{URL}/{id_}/record")
    assert answer.status_code == 200, answer.text
    keys = PublicKeys.model_validate_json((await api.get("/.well-known/jwks.json")).content)
    return open_record(answer.content, keys)


async def ended(api, ask, fake_worker, **found):
    id_ = (await ask(api=api, headers={"Cache-Control": "no-cache"})).json()["id"]
    return fake_worker.succeed(id_, **found)


async def test_a_result_is_recorded_without_being_asked_for(signed, ask, fake_worker):
    state = await ended(signed, ask, fake_worker)
    sealed = await until(lambda: fake_worker.read(state.id).record)
    assert (await signed.get(f"{URL}/{state.id}")).json()["links"]["record"]
    found = await opened(signed, state.id)
    assert found.sha256 == sealed.payload_sha256
    record = found.statement.predicate
    assert record.id == state.id
    assert record.result == state.outcome
    assert record.settings == state.spec.settings
    digests = {subject.name: subject.digest["sha256"] for subject in found.statement.subject}
    assert digests == {
        "attributions.npz": state.artifacts.attributions.sha256,
        "picture": state.spec.image.sha256,
    }


async def test_a_record_that_is_asked_for_at_once_is_sealed_at_once(signed, ask, fake_worker):
    state = await ended(signed, ask, fake_worker)
    first = await opened(signed, state.id)
    assert (await opened(signed, state.id)).sha256 == first.sha256


async def test_records_form_a_chain(signed, ask, fake_worker):
    found = []
    for _ in range(3):
        state = await ended(signed, ask, fake_worker)
        found.append(await opened(signed, state.id))
    chains = [each.statement.predicate.chain for each in found]
    assert [chain.sequence for chain in chains] == [0, 1, 2]
    assert [chain.previous for chain in chains] == [None, found[0].sha256, found[1].sha256]


async def test_what_the_cache_answers_has_a_record_of_its_own(signed, ask, fake_worker):
    first = (await ask(api=signed)).json()["id"]
    fake_worker.succeed(first)
    second = (await ask(api=signed)).json()["id"]
    record = (await opened(signed, second)).statement.predicate
    assert (record.id, record.cached_from) == (second, first)


async def test_a_record_is_sealed_once_whatever_happens(signed, ask, fake_worker, store):
    state = await ended(signed, ask, fake_worker)
    answers = await asyncio.gather(*[signed.get(f"{URL}/{state.id}/record") for _ in range(8)])
    assert len({answer.content for answer in answers}) == 1
    await until(lambda: fake_worker.read(state.id).record)
    entries = [e for page in store.pages(f"explanations/{state.id}/record") for e in page]
    assert len(entries) == 1


async def test_a_result_without_evidence_has_no_record_and_is_not_asked_again(
    signed, ask, fake_worker, refused, store, connection
):
    state = await ended(signed, ask, fake_worker)
    lost = await ended(signed, ask, fake_worker)
    store.delete(evidence_key(lost.id, lost.result))
    if fake_worker.read(lost.id).record is None:  # else it was sealed before
        refused(await signed.get(f"{URL}/{lost.id}/record"), 404, "no_result")
    await until(lambda: fake_worker.read(state.id).record)
    await until(lambda: not connection.scard(UNSEALED))


async def test_a_result_that_cannot_be_recorded_keeps_no_other_from_its_record(
    signed, ask, fake_worker, connection
):
    forged = await ended(signed, ask, fake_worker)
    connection.hdel(key_of(forged.id), "record", "outcome")
    connection.sadd(UNSEALED, forged.id)
    await until(lambda: not connection.scard(UNSEALED))
    honest = await ended(signed, ask, fake_worker)
    assert await until(lambda: fake_worker.read(honest.id).record)


async def test_a_damaged_record_is_not_shown(signed, ask, fake_worker, refused, store):
    state = await ended(signed, ask, fake_worker)
    await opened(signed, state.id)
    sealed = fake_worker.read(state.id).record
    key = record_key(state.id, sealed.envelope.sha256)
    store.put(key, store.get(key)[:-1] + b" ")
    refused(await signed.get(f"{URL}/{state.id}/record"), 404, "no_result")


async def test_without_a_key_there_are_no_records(served, create, fake_worker, refused):
    id_ = await create()
    refused(await served.get(f"{URL}/{id_}/record"), 409, "not_finished")
    fake_worker.succeed(id_)
    refused(await served.get(f"{URL}/{id_}/record"), 404, "no_result")
    assert (await served.get("/.well-known/jwks.json")).json() == {"keys": []}


async def test_keys_that_signed_before_are_published(
    tmp_path, settings, start, fake_worker, new_card, connection, store, ask
):
    old, new = (SigningKey.create(tmp_path / name) for name in ("old.pem", "new.pem"))
    retired = tmp_path / "retired.json"
    retired.write_text(json.dumps({"keys": [old.public.model_dump(mode="json")]}))
    fake_worker.announce(new_card())
    compare_store(connection, store)
    async with start(settings.model_copy(update={"signing_key_file": tmp_path / "old.pem"})) as api:
        state = await ended(api, ask, fake_worker)
        assert (await opened(api, state.id)).key_id == old.public.kid
    both = {"signing_key_file": tmp_path / "new.pem", "retired_keys_file": retired}
    async with start(settings.model_copy(update=both)) as api:
        assert (await opened(api, state.id)).key_id == old.public.kid
        assert (await opened(api, (await ended(api, ask, fake_worker)).id)).key_id == new.public.kid
