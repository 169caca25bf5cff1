"""`shapshot audit` against a running API: the entries, and which of them are signed."""

import json
import re
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.evidence.keys import SigningKey
from tests.live import Live, live_api


@pytest.fixture
def start(settings, tmp_path):
    """Starts the API, which signs the log when it stops if it has a key."""

    def started(*, with_key: bool = True):
        key = tmp_path / "key.pem"
        if not key.exists():
            SigningKey.create(key)
        return live_api(settings, tmp_path, **({"SIGNING_KEY_FILE": key} if with_key else {}))

    return started


def run(live: Live, *words: str) -> str:
    environment = {"SHAPSHOT_URL": live.url, "COLUMNS": "200"}
    ended = CliRunner().invoke(app, ["audit", *words], env=environment)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def rows_of(text: str) -> list[str]:
    """The lines of the table, each of which begins with a day; a narrow one has the hour below."""
    return [line for line in text.splitlines() if re.match(r"\s*\d{4}-\d\d-\d\d", line)]


def listed(live: Live) -> tuple[str | None, list[dict[str, Any]], list[str], str]:
    """The last signed entry; all entries, as JSON and as rows of the table; and what is printed."""
    sealed = httpx.get(f"{live.url}/v1/audit").raise_for_status().json()["sealed_until"]
    text = run(live)
    rows = rows_of(text)
    found = json.loads(run(live, "--json"))
    return sealed, found[-len(rows) :], rows, text


def test_it_says_which_entries_are_not_signed_yet(start):
    with start() as live:
        httpx.get(f"{live.url}/v1/audit").raise_for_status()
    with start() as live:
        sealed, found, rows, text = listed(live)
    ids = [each["id"] for each in found]
    young = ids.index(sealed)  # entries after it; the newest is first
    assert 0 < young < len(ids)
    assert [each["signed"] for each in found] == [False] * young + [True] * (len(ids) - young)
    assert ["not yet" in row for row in rows] == [True] * young + [False] * (len(ids) - young)
    assert all(" yes " in row for row in rows[young:])
    told = (
        f"Not signed yet: {young} of {len(ids)} entries; the server signs about every ten minutes."
    )
    assert told in text


def test_a_server_without_a_key_signs_none(start):
    with start(with_key=False) as live:
        sealed, found, rows, text = listed(live)
    assert sealed is None
    assert not any(each["signed"] for each in found)
    assert all(" no " in row for row in rows)
    told = f"Not signed: {len(rows)} of {len(rows)} entries; the server has no signing key."
    assert told in text


def test_where_all_are_signed_nothing_is_said(start):
    with start() as live:
        httpx.get(f"{live.url}/v1/audit").raise_for_status()
    with start() as live:
        text = run(live, "--action", "audit_read")
    assert len(rows_of(text)) == 1
    assert "Not signed" not in text
