"""The audit log has each change and each read of contents once; a changed entry is found."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from service.api.app import create_app
from service.api.evidence.audited_requests import OTHERS, READS
from service.api.services import ProcessServices
from service.cli.main import app as cli
from service.evidence.audit_log import verify_log
from service.evidence.keys import PublicKeys
from service.infra.settings.api import ApiSettings
from service.jobs.audit_log import AuditLog
from service.jobs.redis_keys import (
    AUDIT,
    AUDIT_SEALED,
    AUDIT_SEGMENTS,
    EXPIRY,
    HOLDS,
    RECORDS,
    key_of,
)
from tests.evidence.conftest import URL, gradient

LINES = {"Accept": "application/x-ndjson"}


async def entries(signed, **query):
    page = (await signed.api.get("/v1/audit", params={"order": "oldest"} | query)).json()
    return page["items"]


async def told(signed, **query):
    """Action, what and outcome of each entry, without the start."""
    return [
        (each["action"], each["what"], each["outcome"])
        for each in await entries(signed, **query)
        if each["action"] not in ("started", "audit_read")
    ]


async def test_changes_and_reads_are_told_with_who_and_when(signed):
    before = datetime.now(UTC) - timedelta(seconds=5)
    id_ = await signed.explain()
    path = f"{URL}/{id_}"
    for name in ("picture", "attributions", "heatmap.svg", "record", "report.html", "bundle.zip"):
        assert (await signed.api.get(f"{path}/{name}")).status_code == 200
    await signed.api.get(path)  # a poll
    await signed.api.head(f"{path}/picture")
    await signed.api.get(f"{path}/picture")  # again within a minute
    link = (await signed.api.post(f"{path}/links", json={"path": "thumbnail.png"})).json()["url"]
    assert (await signed.api.get(link.removeprefix("http://localhost"))).status_code == 200
    hold = {"reason": 'Why: "\n{}', "name": "Ada"}
    await signed.api.put(f"{path}/hold", json=hold)
    assert (await signed.api.delete(path)).status_code == 409
    await signed.api.post(f"{path}/reviews", json={"verdict": "reject", "reviewer": "Bo"})
    await signed.api.delete(f"{path}/hold")
    await signed.api.delete(path, headers={"X-Request-ID": "the-last"})
    await signed.api.delete(path)
    assert await told(signed, explanation=id_) == [
        ("asked", "kernel", "done"),
        ("read", "picture", "done"),
        ("read", "arrays", "done"),
        ("read", "figure", "done"),
        ("read", "record", "done"),
        ("read", "report", "done"),
        ("read", "bundle", "done"),
        ("link_made", "link", "done"),
        ("link_used", "thumbnail", "done"),
        ("held", None, "done"),
        ("deleted", None, "refused"),
        ("reviewed", "reject", "done"),
        ("released", None, "done"),
        ("deleted", None, "done"),
    ]
    found = await entries(signed, explanation=id_)
    assert found[9]["detail"] == hold["reason"]
    assert found[-1]["request_id"] == "the-last"
    assert {each["address"] for each in found} == {None}
    for each in found:
        assert before < datetime.fromisoformat(each["at"]) < datetime.now(UTC) + timedelta(hours=1)
    text = json.dumps(found)
    assert "g.png" not in text  # a file name is content


async def test_a_cancel_and_an_expiry_are_told_once(signed, connection):
    asked = {"model": "dozer", "superpixels": {"kind": "grid", "rows": 2, "columns": 2}}
    files = {"image": ("g.png", gradient()), "settings": (None, json.dumps(asked))}
    id_ = (await signed.api.post(URL, files=files)).json()["id"]
    for _ in range(2):
        await signed.api.post(f"{URL}/{id_}/cancel")
    for _ in range(2):
        signed.ledger.leave_tombstone(id_, tombstone_s=60)
    actions = [each[0] for each in await told(signed, explanation=id_)]
    assert actions == ["asked", "canceled", "expired"]


async def test_a_hold_that_ends_by_itself_is_told(signed, connection):
    id_ = await signed.explain()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await signed.api.put(f"{URL}/{id_}/hold", json={"reason": "x", "name": "A", "until": until})
    connection.zadd(HOLDS, {id_: 1})
    connection.hset(key_of(id_), "held_until", "1")
    signed.ledger.expired()
    [*_, last] = await entries(signed, explanation=id_)
    assert (last["action"], last["detail"]) == ("released", "the time of the hold is over")


def test_every_route_that_shows_contents_is_audited_or_named_here():
    unaudited = {
        *("get_explanation", "list_explanations", "follow_explanation"),  # polls
        *("get_batch", "list_batches", "get_hold", "list_models", "get_model", "list_methods"),
        *("list_records", "get_caller"),  # ids and hashes; the key itself
        *("get_webhook", "list_webhooks", "list_deliveries", "test_webhook", "replay_delivery"),
        # the scripts of these append, in the same step
        *("create_explanation", "create_batch", "reproduce_explanation", "review_explanation"),
        *("cancel_explanation", "cancel_batch", "delete_explanation", "delete_batch"),
        *("hold_explanation", "release_hold"),
    }
    document = create_app(ProcessServices.of(ApiSettings(store_url="memory:"))).openapi()
    names = {
        operation["operationId"].removesuffix("_svg").removesuffix("_pdf")
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if path.startswith(("/v1/", "/v1beta1/"))
    }
    assert names == {*READS, *OTHERS, *unaudited}


async def sealed(signed):
    """Seals all entries there are; returns the export with the segments."""
    while signed.sealer.seal_audit(min_age_s=0):
        pass
    lines = (await signed.api.get("/v1/audit", headers=LINES)).content
    segments = (await signed.api.get("/v1/audit/segments")).content
    return lines.splitlines(), segments.splitlines()


def faults(lines, signed):
    return [
        each.fault
        for each in verify_log(lines, PublicKeys(keys=(signed.key.public,))).findings
        if each.fault
    ]


async def test_a_changed_or_removed_entry_is_found(signed):
    id_ = await signed.explain()
    for name in ("picture", "record", "regions"):
        await signed.api.get(f"{URL}/{id_}/{name}")
        await sealed(signed)
    lines, segments = await sealed(signed)
    assert len(segments) >= 3
    assert faults(lines + segments, signed) == []
    for n, line in enumerate(lines[:-2]):
        changed = line.replace(b'"done"', b'"refused"')
        assert changed != line
        assert faults([*lines[:n], changed, *lines[n + 1 :], *segments], signed)
        if n:  # the first entries may have been kept no longer
            assert faults([*lines[:n], *lines[n + 1 :], *segments], signed), n
    assert faults([*lines, lines[0], *segments], signed)
    assert faults([*lines, *segments[:1], *segments[2:]], signed)
    assert faults(lines, signed) == ["there are none, so nothing can be checked"]
    assert faults([*lines, *segments, b"nonsense"], signed)


async def test_the_list_says_which_entries_are_signed(signed):
    await signed.api.get(URL)
    before = (await signed.api.get("/v1/audit")).json()
    assert (before["sealed_until"], before["signing"]) == (None, True)
    await sealed(signed)
    after = (await signed.api.get("/v1/audit", params={"order": "oldest"})).json()
    segments = (await signed.api.get("/v1/audit/segments")).content.splitlines()
    payload = json.loads(base64.b64decode(json.loads(segments[-1])["payload"]))
    assert after["sealed_until"] == payload["predicate"]["last"]
    assert after["sealed_until"] in [each["id"] for each in after["items"]]


async def test_a_process_that_stops_signs_the_log_to_its_end(open_signed, tmp_path, connection):
    async with open_signed(tmp_path) as signed:
        await signed.explain()
        before = (await signed.api.get("/v1/audit")).json()
    [(last, _)] = connection.xrevrange(AUDIT, count=1)
    assert before["sealed_until"] is None
    assert connection.hget(AUDIT_SEALED, "last") == last
    [found] = AuditLog(connection).segments()
    assert found


async def test_a_process_stops_though_the_log_cannot_be_signed(open_signed, tmp_path, connection):
    connection.rpush(RECORDS, "no entry of a chain")
    async with open_signed(tmp_path) as signed:
        await signed.api.get("/v1/audit")
    assert not connection.exists(AUDIT_SEALED)


async def test_segments_are_in_the_chain_of_records(signed, connection):
    await signed.explain()
    _, segments = await sealed(signed)
    kinds = [json.loads(each).get("kind", "record") for each in connection.lrange(RECORDS, 0, -1)]
    assert kinds.count("audit") == len(segments) >= 1
    assert not signed.sealer.seal_audit(min_age_s=600)


async def test_the_command_lists_exports_and_verifies(signed, tmp_path, connection):
    await signed.explain()
    lines, segments = await sealed(signed)
    log, keys = tmp_path / "audit.ndjson", tmp_path / "keys.json"
    keys.write_text(PublicKeys(keys=(signed.key.public,)).model_dump_json())
    log.write_bytes(b"\n".join([*lines, *segments]))
    found = CliRunner().invoke(cli, ["verify", str(log), "--keys", str(keys)])
    assert found.exit_code == 0, found.output
    log.write_bytes(b"\n".join([lines[0].replace(b'"done"', b'"refused"'), *lines[1:], *segments]))
    found = CliRunner().invoke(cli, ["verify", str(log), "--keys", str(keys), "--json"])
    assert found.exit_code == 1
    assert "an entry of it was changed" in found.output
    found = CliRunner().invoke(cli, ["verify", str(log)])
    assert found.exit_code == 1
    assert "pass those of the server" in found.output


async def test_the_list_of_the_chain_shows_a_segment_that_was_cut_off_or_replaced(signed, tmp_path):
    bundle, log = tmp_path / "bundle.zip", tmp_path / "audit.ndjson"
    chain, keys = tmp_path / "chain.json", tmp_path / "keys.json"
    keys.write_text(PublicKeys(keys=(signed.key.public,)).model_dump_json())
    await signed.bundle()
    cut = await sealed(signed)
    bundle.write_bytes(await signed.bundle(seed=1))
    lines, segments = await sealed(signed)
    assert len(segments) == 2
    assert len(lines) > len(cut[0])
    listed = (await signed.api.get("/v1/records")).json()["items"]

    def verified(lines, segments, listed):
        log.write_bytes(b"\n".join([*lines, *segments]))
        chain.write_text(json.dumps(listed))
        command = ["verify", log, bundle, "--keys", keys, "--chain", chain, "--json"]
        found = CliRunner().invoke(cli, [str(each) for each in command])
        told = json.loads(found.output)
        assert all(each["valid"] for each in told["logs"])
        assert found.exit_code == (0 if told["valid"] else 1)
        return told["chain"]

    whole = verified(lines, segments, listed)
    assert [each["fault"] for each in whole] == [None] * len(whole)
    told = [each["what"] for each in whole]
    assert "the log has the 2 segments of the list from place 1 on" in told
    assert "records 1 and 2 follow each other" in told  # a segment, and the record after it
    [fault] = [each["fault"] for each in verified(cut[0], cut[1], listed) if each["fault"]]
    assert fault == "that of place 3 is missing"
    other = [*listed[:3], listed[3] | {"sha256": "0" * 64}]
    [fault] = [each["fault"] for each in verified(lines, segments, other) if each["fault"]]
    assert "the list has 0000" in fault


async def test_old_entries_go_with_their_segments(signed, connection):
    log, day_ms = AuditLog(connection), 86_400_000
    now = int(time.time() * 1000)
    connection.delete(AUDIT)
    for days in (500, 450, 399, 1):
        at = f"{(now - days * day_ms) / 1000:.6f}"
        fields = {"at": at, "action": "read", "outcome": "done"}
        connection.xadd(AUDIT, fields, id=f"{now - days * day_ms}-0")
        if days > 1:
            signed.sealer.seal_audit(min_age_s=0)
    log.trim(400)
    assert connection.xlen(AUDIT) == 2
    assert connection.xlen(AUDIT_SEGMENTS) == 1
    lines, segments = await sealed(signed)
    assert faults(lines + segments, signed) == []


async def test_what_somebody_else_wrote_is_listed_and_signed_as_unreadable(signed, connection):
    connection.xadd(AUDIT, {"action": "erased", "at": "x"})
    lines, segments = await sealed(signed)
    assert faults(lines + segments, signed) == []
    assert any(each["action"] == "unreadable" for each in await entries(signed))


async def test_pages_follow_each_other(signed):
    await signed.explain()
    whole = [each["id"] for each in await entries(signed)]
    found, query = [], {"limit": 2, "order": "oldest"}
    while True:
        page = (await signed.api.get("/v1/audit", params=query)).json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found[: len(whole)] == whole
    assert len(set(found)) == len(found)
    newest = (await signed.api.get("/v1/audit", params={"limit": 1})).json()["items"]
    assert newest[0]["id"] == found[-1]
    assert await entries(signed, since="2101-01-01T00:00:00Z") == []
    assert await entries(signed, before="2001-01-01T00:00:00Z") == []
    assert await entries(signed, actor="nobody") == []


async def test_a_read_that_cannot_be_told_is_refused(signed, connection):
    id_ = await signed.explain()
    connection.delete(AUDIT)
    connection.set(AUDIT, "no stream")
    answer = await signed.api.get(f"{URL}/{id_}/picture")
    assert (answer.status_code, answer.json()["code"]) == (503, "redis_unavailable")
    assert (await signed.api.delete(f"{URL}/{id_}")).status_code == 503
    connection.delete(AUDIT)
    assert signed.ledger.read(id_)
    assert connection.zscore(EXPIRY, id_)
    assert (await signed.api.get(f"{URL}/{id_}/picture")).status_code == 200
