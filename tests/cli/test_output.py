"""What programs rely on: --json of every command, problems on stderr, and exit codes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import psutil
import pytest
import redis
import typer
from typer.testing import CliRunner

from service.cli.console import console
from service.cli.main import SAMPLES, app
from service.client.calls import ListOptions
from service.infra.artifact_store import Store
from service.infra.settings.api import ApiSettings
from service.jobs.store_identity import compare_store
from tests.conftest import wait_until
from tests.e2e.conftest import Running

NOBODY = "http://127.0.0.1:1"


def run(*words: object, **environment: object) -> Any:
    """Run a command in this process."""
    env = {"SHAPSHOT_URL": NOBODY, **{name: str(value) for name, value in environment.items()}}
    return CliRunner().invoke(app, [*map(str, words)], env=env)


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", [*commands(typer.main.get_command(app))], ids=" ".join)
def test_every_command_has_json(command: tuple[str, ...]) -> None:
    ended = run(*command, "--help", COLUMNS=200)
    assert ended.exit_code == 0
    assert "--json" in ended.stdout


def test_each_filter_of_the_api_is_an_option_of_list() -> None:
    shown = run("list", "--help", COLUMNS=200).stdout
    filters = set(get_type_hints(ListOptions)) - {"cursor"}
    assert [name for name in filters if f"--{name.replace('_', '-')} " not in shown] == []


def test_keys_are_added_listed_and_removed(tmp_path: Path) -> None:
    at = ("--file", tmp_path / "keys.jsonl", "--json")
    added = json.loads(run("keys", "add", "clinic", "--scopes", "read", *at).stdout)
    assert added.pop("key").startswith("shapshot_")
    assert (added["name"], added["scopes"]) == ("clinic", ["read"])
    assert json.loads(run("keys", "list", *at).stdout) == [added]
    removed = run("keys", "remove", "clinic", *at)
    assert json.loads(removed.stdout) == {"removed": [added]}
    assert removed.stderr == f"Removed key {added['id']} of clinic\n"
    absent = run("keys", "remove", "clinic", *at)
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert json.loads(absent.stderr) == {
        "detail": "there is no key of 'clinic'; known keys: none",
    }


def test_a_lost_store_is_accepted(
    settings: ApiSettings, connection: redis.Redis, store: Store, tmp_path: Path
) -> None:
    of_set = {"SHAPSHOT_REDIS_URL": settings.redis_url, "SHAPSHOT_STORE_URL": settings.store_url}
    compare_store(connection, store)
    same = run("adopt", "--json", **of_set)
    assert json.loads(same.stdout) == {"problem": None, "accepted": False}
    of_set["SHAPSHOT_STORE_URL"] = f"file:{tmp_path}/other"
    refused = run("adopt", "--json", **of_set)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "accept it by --yes" in json.loads(refused.stderr.splitlines()[-1])["detail"]
    accepted = json.loads(run("adopt", "--yes", "--json", **of_set).stdout)
    assert accepted["accepted"] is True
    assert "store" in accepted["problem"]


def test_errors_found_here_are_problems_with_a_detail() -> None:
    silent = run("models", "--json")
    assert (silent.exit_code, silent.stdout) == (1, "")
    assert json.loads(silent.stderr) == {
        "detail": f"no answer from {NOBODY}: [Errno 111] Connection refused"
    }
    wrong = run("explain", SAMPLES / "cat.jpg", "--masker", "black", "--json")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "received 'black'" in json.loads(wrong.stderr)["detail"]
    assert run("models").stderr.startswith("shapshot: no answer")  # text again


def test_a_usage_error_is_text_with_exit_code_2() -> None:
    for words in (["models", "--colour"], ["explain", "--json"], ["list", "--limit", "0"]):
        ended = run(*words)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "Usage:" in ended.stderr


def test_a_refusal_of_the_server_is_its_problem(running: Running) -> None:
    ended = run("get", "exp_" + "0" * 32, "--json", SHAPSHOT_URL=running.url)
    assert (ended.exit_code, ended.stdout) == (1, "")
    problem = json.loads(ended.stderr)
    assert (problem["status"], problem["code"]) == (404, "not_found")
    told = run("get", "exp_" + "0" * 32, SHAPSHOT_URL=running.url).stderr
    assert told == f"shapshot: Not found: there is no such explanation: exp_{'0' * 32}\n"


@pytest.mark.parametrize(("columns", "has_method"), [(80, False), (130, True)])
def test_a_narrow_terminal_shows_whole_ids(
    running: Running, monkeypatch: pytest.MonkeyPatch, columns: int, has_method: bool
) -> None:
    explanation = running.client.submit(SAMPLES / "cat.jpg", {"masker": "mean", "max_evals": 60})
    monkeypatch.setattr(console, "width", columns)
    table = run("list", "--limit", 1, SHAPSHOT_URL=running.url).stdout
    assert explanation.id in table
    assert ("partition" in table) == has_method
    assert max(map(len, table.splitlines())) <= columns


def test_ctrl_c_ends_a_wait_with_130_and_the_explanation_goes_on(running: Running) -> None:
    slow = {"max_evals": 50_000, "masker": "mean", "seed": 75}
    explanation = running.client.submit(SAMPLES / "cat.jpg", slow)
    command = [sys.executable, "-m", "service.cli", "wait", explanation.id, "--url", running.url]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: bool(psutil.Process(process.pid).net_connections()), seconds=120)
    process.send_signal(signal.SIGINT)
    told, problem = process.communicate(timeout=120)
    goes_on = not running.client.get(explanation.id).done
    running.client.cancel(explanation.id)
    assert (process.returncode, told, goes_on) == (130, b"", True)
    assert json.loads(problem) == {"detail": "interrupted"}
