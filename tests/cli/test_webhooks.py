"""`shapshot webhooks` against a running API."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.conftest import wait_until
from tests.live import live_api

NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture
def run(settings, tmp_path):
    with live_api(settings, tmp_path, OUTBOUND_ALLOW="127.0.0.1") as live:
        environment = {"SHAPSHOT_URL": live.url}

        def invoke(*words: str, code: int = 0) -> Any:
            ended = CliRunner().invoke(
                app,
                ["webhooks", *words, "--json"],
                env={"SHAPSHOT_URL": live.url, "COLUMNS": "300"},
            )
            assert ended.exit_code == code, ended.output
            return json.loads(ended.stdout or ended.stderr)

        invoke.text = lambda *words: CliRunner().invoke(  # type: ignore[attr-defined]
            app, ["webhooks", *words], env=environment
        )
        yield invoke


def test_a_webhook_is_added_tested_replayed_rotated_and_removed(run, connection):
    made = run("add", NOWHERE, "--event", "batch.finished", "--description", "x")
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["batch.finished"]
    id_ = made["id"]
    assert [each["id"] for each in run("list")] == [id_]
    tested = run("test", id_)
    wait_until(lambda: run("deliveries", id_)[0]["tries"] == 1, seconds=30)
    assert "it refuses connections" in run("deliveries", id_)[0]["attempts"][0]["error"]
    assert run("replay", id_, tested["id"])[0]["status"] == "pending"
    assert run("replay", id_) == []  # none has failed for good
    shown = run.text("deliveries", id_).stdout
    assert "webhook.test" in shown
    assert id_ in run.text("list").stdout
    assert not run("disable", id_)["enabled"]
    assert run("test", id_, code=1)["code"] == "webhook_disabled"
    assert run("enable", id_)["enabled"]
    rotated = run.text("rotate", id_, "--signature", "v1a")
    assert rotated.stdout.startswith("whpk_")
    assert run("remove", id_) == {"removed": id_}
    assert run("list") == []


def test_all_events_are_wanted_unless_some_are_given(run):
    assert len(run("add", NOWHERE)["events"]) == 6
    assert run("add", NOWHERE, "--event", "done", code=1)["field"] == "events.0"
