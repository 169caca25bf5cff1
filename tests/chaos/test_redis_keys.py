"""docs/redis.md lists every key that the code names and every key that a real run leaves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api.auth.keys import Scope
from service.evidence.keys import SigningKey
from service.jobs.redis_keys import as_text
from tests.api.auth.keyholders import issue
from tests.chaos.service_harness import LONG, ServiceHarness
from tests.conftest import RedisServer, wait_until
from tests.encoded import encoded, noise

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"^\| `([^`]+)` \| (\w+(?: \w+)?) \|", re.MULTILINE)
ROWS = dict(ROW.findall((ROOT / "docs" / "redis.md").read_text(encoding="utf-8")))
NAMED = re.compile(r"""["'](?:shapshot|rq):[a-z_:]+""")
TYPES = {"zset": "sorted set"}


def pattern(row: str) -> re.Pattern[str]:
    """Convert the key of a row to a pattern."""
    return re.compile(re.sub(r"[A-Z]+", ".+", re.escape(row)))


def row_of(key: str) -> str | None:
    """Return the most specific row that matches a key."""
    rows = [row for row in ROWS if pattern(row).fullmatch(key)]
    return max(rows, key=lambda row: len(re.sub(r"[A-Z]+", "", row)), default=None)


def named_in_code() -> set[str]:
    """Return the prefixes of keys in the sources, up to the part that varies."""
    files = [*(ROOT / "service").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]
    files += (ROOT / "service").rglob("*.lua")
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {found[1:] for text in texts for found in NAMED.findall(text)}


def test_every_key_named_in_the_code_is_listed():
    beginnings = {re.split("[A-Z]", row)[0] for row in ROWS} | {"shapshot:rate"}
    assert len(named_in_code()) > 20
    assert named_in_code() <= beginnings


def test_every_listed_key_is_named_in_the_code():
    named = named_in_code() | {"rq:worker:", "rq:workers", "rq:workers:", "shapshot:rate:"}
    assert {re.split("[A-Z]", row)[0] for row in ROWS} <= named


@pytest.fixture
def guarded(mortal_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceHarness]:
    """A whole service with keys configured, and a client that has one."""
    token = issue(tmp_path / "keys", "ann", *Scope)
    SigningKey.create(tmp_path / "signing-key.pem")
    files = {"KEYS_FILE": tmp_path / "keys", "SIGNING_KEY_FILE": tmp_path / "signing-key.pem"}
    own = {"OUTBOUND_ALLOW": "127.0.0.1"}  # receivers of webhooks
    found = ServiceHarness(tmp_path, mortal_redis, settings=files | own)
    found.client.headers["Authorization"] = f"Bearer {token}"
    yield found
    found.close()


def test_keys_that_a_run_leaves_are_listed_with_their_types(guarded: ServiceHarness) -> None:
    seen: dict[str, str] = {}

    def look() -> None:
        for key in guarded.connection.scan_iter():
            seen[as_text(key)] = as_text(guarded.connection.type(key))

    guarded.start_api()
    guarded.start_worker()
    guarded.wait_ready()
    for all_owners in (True, False):
        wanted = {"url": "http://127.0.0.1:1/", "events": ["explanation.succeeded"]}
        webhook = guarded.client.post("/v1/webhooks", json=wanted | {"all_owners": all_owners})
        assert webhook.status_code == 201
    explanation = guarded.submit()
    guarded.wait(explanation, "succeeded")
    assert guarded.client.post(f"/v1/explanations/{explanation}/links", json={}).status_code == 200
    review = guarded.client.post(
        f"/v1/explanations/{explanation}/reviews", json={"verdict": "accept"}
    )
    assert review.status_code == 201
    hold = guarded.client.put(f"/v1/explanations/{explanation}/hold", json={"reason": "Why"})
    assert hold.status_code == 200
    assert guarded.ask(headers={"Idempotency-Key": "once"}).status_code == 202
    pictures = [("image", ("photo.png", encoded(noise(60, 40), "PNG")))]
    assert guarded.client.post("/v1/batches", files=pictures).status_code == 202
    wrong = {"Authorization": "Bearer wrong"}
    assert guarded.client.get("/v1/explanations", headers=wrong).status_code == 401
    running, _waiting = guarded.submit(LONG), guarded.submit(LONG)
    guarded.wait(running, "running")
    preview = f"/v1/explanations/{running}/preview"
    wait_until(lambda: guarded.client.get(preview).status_code == 200, seconds=60)
    wait_until(lambda: bool(guarded.connection.exists("shapshot:reaped:chaos")), seconds=20)
    wait_until(lambda: bool(guarded.connection.exists("shapshot:records")), seconds=20)
    look()
    guarded.dismiss("worker")
    look()

    listed = {key: row_of(key) for key in seen}
    assert [key for key, row in listed.items() if row is None] == []
    types = {key: TYPES.get(kind, kind) for key, kind in seen.items()}
    assert {key: ROWS[row] for key, row in listed.items() if row} == types
    missed = set(ROWS) - set(listed.values())  # a channel, and keys that exist only briefly
    assert missed <= {
        "shapshot:changes",
        "shapshot:limbo",
        "rq:queue:QUEUE:intermediate",
        "shapshot:unsealed",
        "shapshot:audit:sealed",  # after ten minutes
        "shapshot:audit:segments",
        "shapshot:taken:WEBHOOK",
        "shapshot:delivered:WEBHOOK",  # nobody listens
        "shapshot:undelivered:WEBHOOK",
        "shapshot:unstamped",
    }
