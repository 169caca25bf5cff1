"""Reviews are signed after the record, in its chain, and go with its bundle."""

import asyncio
import base64
import hashlib
import json
import threading

import pytest

from service.evidence.archives import read_archive
from service.evidence.envelopes import encode, seal
from service.evidence.keys import PublicKeys
from service.jobs.claims import AlreadyClaimedError, IdempotentRequest
from service.jobs.records import ChainEntry
from service.jobs.redis_keys import RECORDS, reviews_key_of
from service.schemas.record import BundleStatement
from service.schemas.reviews import MAX_COMMENT, ReviewRequest, ReviewStatement
from tests.evidence.conftest import URL
from tests.evidence.test_bundles import archived, faults, statement_in, verify_alone
from worker.verification import verify_bundle, verify_chain

ACCEPT = {"verdict": "accept", "reviewer": "Ada"}
OVERRIDE = {"verdict": "override", "label": "tiger <cat>", "reviewer": "Bo", "comment": "Stripes"}


async def review(signed, id_, **said):
    answer = await signed.api.post(f"{URL}/{id_}/reviews", json=said)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_the_last_review_counts_and_all_are_kept(signed):
    id_ = await signed.explain()
    first = await review(signed, id_, **ACCEPT)
    second = await review(signed, id_, **OVERRIDE)
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["sequence"], second["sequence"]) == (1, 2)  # the record is number 0
    document = (await signed.api.get(f"{URL}/{id_}")).json()
    assert document["review"] == {
        "verdict": "override",
        "label": "tiger <cat>",
        "reviewer": "Bo",
        "reviewed_at": second["reviewed_at"],
        "count": 2,
    }
    assert (await signed.api.get(document["links"]["reviews"])).json()["items"] == [first, second]


async def test_the_same_review_again_is_not_added(signed):
    id_ = await signed.explain()
    assert await review(signed, id_, **ACCEPT) == await review(signed, id_, **ACCEPT)
    assert (await review(signed, id_, **ACCEPT, comment="twice"))["number"] == 2


async def test_a_review_that_is_sent_again_is_the_first_one_though_others_followed(signed):
    id_, headers = await signed.explain(), {"Idempotency-Key": "k-1"}
    first = await signed.api.post(f"{URL}/{id_}/reviews", json=ACCEPT, headers=headers)
    await review(signed, id_, **OVERRIDE)
    again = await signed.api.post(f"{URL}/{id_}/reviews", json=ACCEPT, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await signed.api.post(f"{URL}/{id_}/reviews", json=OVERRIDE, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    elsewhere = await signed.explain(seed=1)
    other = await signed.api.post(f"{URL}/{elsewhere}/reviews", json=ACCEPT, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    items = (await signed.api.get(f"{URL}/{id_}/reviews")).json()["items"]
    assert [each["verdict"] for each in items] == ["accept", "override"]


async def test_a_key_holds_also_for_a_review_that_was_there(signed):
    id_, headers = await signed.explain(), {"Idempotency-Key": "k-1"}
    there = await review(signed, id_, **ACCEPT)
    for followed in (False, True):
        if followed:
            await review(signed, id_, **OVERRIDE)
        answer = await signed.api.post(f"{URL}/{id_}/reviews", json=ACCEPT, headers=headers)
        assert answer.json() == there


async def test_equal_reviews_at_once_with_one_key_are_one_review(signed):
    id_, headers = await signed.explain(), {"Idempotency-Key": "k-1"}
    others = [{"verdict": "reject", "reviewer": f"{n}"} for n in range(4)]
    path = f"{URL}/{id_}/reviews"
    answers = await asyncio.gather(
        *(signed.api.post(path, json=ACCEPT, headers=headers) for _ in range(4)),
        *(signed.api.post(path, json=said) for said in others),
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["number"] for answer in answers[:4]}) == 1
    items = (await signed.api.get(path)).json()["items"]
    assert [each["number"] for each in items] == [1, 2, 3, 4, 5]
    verified = verify_bundle((await signed.api.get(f"{URL}/{id_}/bundle.zip")).content)
    assert [check.fault for check in verify_chain([verified])] == [None] * 5


async def test_a_request_that_another_overtook_signs_nothing(signed):
    id_ = await signed.explain()
    await review(signed, id_, **ACCEPT)
    state, request = signed.ledger.read(id_), IdempotentRequest("shapshot:idempotency:x", "y", 60)
    accept, reject = ReviewRequest(verdict="accept"), ReviewRequest(verdict="reject")
    signed.sealer.review(state, reject, "Bo", None, request)
    signed.sealer.review(state, accept, "Bo", None)
    with pytest.raises(AlreadyClaimedError):
        signed.sealer.review(state, reject, "Bo", None, request)
    items = (await signed.api.get(f"{URL}/{id_}/reviews")).json()["items"]
    assert [each["verdict"] for each in items] == ["accept", "reject", "accept"]


async def test_the_list_is_filtered_by_the_last_review(signed):
    ids = [await signed.explain(seed=seed) for seed in range(3)]
    await review(signed, ids[0], **ACCEPT)
    await review(signed, ids[1], **ACCEPT)
    await review(signed, ids[1], **OVERRIDE)
    for verdict, expected in (("accept", 0), ("override", 1), ("none", 2)):
        found = (await signed.api.get(URL, params={"review": verdict})).json()
        assert [item["id"] for item in found["items"]] == [ids[expected]], verdict
    assert (await signed.api.get(URL, params={"review": "reject"})).json()["total"] == 0


async def test_bundle_and_report_have_the_reviews(signed, tmp_path):
    id_ = await signed.explain(method="permutation")
    await review(signed, id_, **ACCEPT)
    await review(signed, id_, **OVERRIDE)
    content = (await signed.api.get(f"{URL}/{id_}/bundle.zip")).content
    files = dict(read_archive(content))
    said = statement_in(files, "reviews/0002.dsse.json", ReviewStatement).predicate
    assert (said.label, said.reviewer, said.comment) == ("tiger <cat>", "Bo", "Stripes")
    page = files["report.html"].decode()
    assert "Overridden: tiger &lt;cat&gt;" in page
    assert page.index("Overridden") < page.index("Accepted")
    verified = verify_bundle(content, PublicKeys(keys=(signed.key.public,)))
    assert not faults(verified)
    assert [check.fault for check in verify_chain([verified])] == [None, None]
    keys, bundle = tmp_path / "keys.json", tmp_path / "bundle.zip"
    keys.write_bytes(files["keys.json"])
    bundle.write_bytes(content)
    assert "2 reviews, the last: override" in verify_alone(keys, bundle).stdout


async def test_a_review_that_was_changed_moved_or_left_out_is_found(signed):
    ids = [await signed.explain(seed=seed) for seed in range(2)]
    bundles = []
    for id_ in ids:
        await review(signed, id_, **ACCEPT)
        await review(signed, id_, **OVERRIDE)
        content = (await signed.api.get(f"{URL}/{id_}/bundle.zip")).content
        bundles.append(dict(read_archive(content)))
    one, other = bundles
    first, second = "reviews/0001.dsse.json", "reviews/0002.dsse.json"
    for changed in (
        {**one, first: one[second]},
        {**one, second: other[second]},
        {name: content for name, content in one.items() if name != second},
        {**one, "reviews/0003.dsse.json": other[second]},
    ):
        assert not verify_bundle(archived(changed)).valid


async def test_a_review_of_another_record_is_found_though_the_manifest_lists_it(signed):
    ids = [await signed.explain(seed=seed) for seed in range(2)]
    bundles = []
    for id_ in ids:
        await review(signed, id_, **ACCEPT)
        content = (await signed.api.get(f"{URL}/{id_}/bundle.zip")).content
        bundles.append(dict(read_archive(content)))
    one, other = bundles
    name = "reviews/0001.dsse.json"
    changed = {**one, name: other[name]}
    manifest = statement_in(one, "manifest.json", BundleStatement)
    listed = manifest.model_dump(mode="json", by_alias=True)
    for subject in listed["subject"]:
        subject["digest"]["sha256"] = hashlib.sha256(changed[subject["name"]]).hexdigest()
    changed["manifest.json"] = seal(encode(BundleStatement.model_validate(listed)), signed.key)
    told = faults(verify_bundle(archived(changed)))
    assert "it is of another record" in told[f"{name} is a signed review of the record"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"verdict": "maybe", "reviewer": "Ada"}, "verdict"),
        ({"verdict": "accept"}, "reviewer"),
        ({"verdict": "accept", "reviewer": " "}, "reviewer"),
        ({"verdict": "accept", "reviewer": "a\nb"}, "reviewer"),
        ({"verdict": "override", "reviewer": "Ada"}, "body"),
        ({"verdict": "accept", "label": "cat", "reviewer": "Ada"}, "body"),
        ({"verdict": "override", "label": "  ", "reviewer": "Ada"}, "label"),
        ({**ACCEPT, "comment": "x" * (MAX_COMMENT + 1)}, "comment"),
        ({**ACCEPT, "more": 1}, "more"),
    ],
)
async def test_an_invalid_review_is_refused_by_name(signed, said, field):
    id_ = await signed.explain()
    answer = await signed.api.post(f"{URL}/{id_}/reviews", json=said)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_parameter"), problem
    assert problem["field"] == field or field == "body", problem
    assert (await signed.api.get(f"{URL}/{id_}/reviews")).json()["items"] == []


async def test_reviews_go_with_their_explanation_and_stay_in_the_chain(signed, connection):
    id_ = await signed.explain()
    await review(signed, id_, **ACCEPT)
    assert connection.exists(reviews_key_of(id_))
    assert (await signed.api.delete(f"{URL}/{id_}")).status_code == 204
    assert not connection.exists(reviews_key_of(id_))
    entries = [ChainEntry.model_validate_json(each) for each in connection.lrange(RECORDS, 0, -1)]
    assert [(each.kind, each.id) for each in entries] == [("record", id_), ("review", id_)]


async def test_many_reviewers_at_once_make_one_chain(signed, connection):
    id_ = await signed.explain()
    await review(signed, id_, **ACCEPT)
    state, sealer = signed.ledger.read(id_), signed.sealer

    def say(reviewer):
        for n in range(4):
            sealer.review(state, ReviewRequest(verdict="reject", comment=str(n)), reviewer, None)

    threads = [threading.Thread(target=say, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    items = (await signed.api.get(f"{URL}/{id_}/reviews")).json()["items"]
    assert [each["number"] for each in items] == list(range(1, 14))
    assert [each["sequence"] for each in items] == list(range(1, 14))
    verified = verify_bundle((await signed.api.get(f"{URL}/{id_}/bundle.zip")).content)
    assert [check.fault for check in verify_chain([verified])] == [None] * 13


async def test_the_payload_is_a_statement_about_the_record(signed):
    id_ = await signed.explain()
    await review(signed, id_, **ACCEPT)
    record = (await signed.api.get(f"{URL}/{id_}/record")).json()
    files = dict(read_archive((await signed.api.get(f"{URL}/{id_}/bundle.zip")).content))
    statement = json.loads(base64.b64decode(json.loads(files["reviews/0001.dsse.json"])["payload"]))
    digest = hashlib.sha256(base64.b64decode(record["payload"])).hexdigest()
    assert statement["predicateType"] == "urn:shapshot:review:v1"
    assert statement["subject"] == [{"name": "record", "digest": {"sha256": digest}}]
