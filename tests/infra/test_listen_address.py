"""Without keys the API listens on loopback only, however its process is started."""

import asyncio
import os
import subprocess
import sys

import pytest

from service.api.auth.keys import Scope
from service.client import AsyncClient, Client, ShapshotError
from service.infra.listen_address import InsecureBindError, check_listen_address
from service.schemas.models import ModelList, ModelSummary
from tests.api.auth.keyholders import issue
from tests.live import live_api

REFUSED = ["0.0.0.0", "::", "192.168.1.7", "example.org", "127.0.0.1.example.org", ""]  # noqa: S104
LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    env = {**os.environ, **{f"SHAPSHOT_{name}": value for name, value in environment.items()}}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize("host", REFUSED)
def test_without_keys_a_public_address_is_refused(host):
    with pytest.raises(InsecureBindError, match=r"shapshot keys add NAME.*127\.0\.0\.1"):
        check_listen_address(host, None)


@pytest.mark.parametrize("host", LOOPBACK)
def test_without_keys_loopback_is_served(host):
    check_listen_address(host, None)


def test_the_api_exits_at_once_with_a_remedy():
    ended = run("service.api", HOST="0.0.0.0")  # noqa: S104
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("shapshot: listening on 0.0.0.0 lets other machines in")
    assert "shapshot keys add NAME" in line


def test_the_embedded_set_starts_nothing_and_exits_with_a_remedy(tmp_path):
    data = tmp_path / "data"
    ended = run("service.cli", "up", "--host", "0.0.0.0", "--data", str(data))  # noqa: S104
    assert ended.returncode == 1
    assert "shapshot keys add NAME" in ended.stderr
    assert not data.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "has no key; add one"),
        ("nonsense\n", "line 1 is not a valid key"),
    ],
)
def test_a_keys_file_that_admits_nobody_is_reported_at_start(tmp_path, content, said):
    path = tmp_path / "keys.jsonl"
    if content is not None:
        path.touch(0o600)
        path.write_text(content)
    ended = run("service.api", KEYS_FILE=str(path))
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert f"keys file {path}" in line or f"{path}, line 1" in line
    assert said in line


def test_with_keys_it_serves_other_machines(settings, tmp_path):
    path = tmp_path / "keys.jsonl"
    key = issue(path, "clinic", Scope.READ)
    with live_api(settings, tmp_path, HOST="0.0.0.0", KEYS_FILE=str(path)) as api:  # noqa: S104
        assert asked_by_clients(api.url, key) == [[], []]
        for wrong in (None, f"{key}x"):
            with pytest.raises(ShapshotError, match="Missing or invalid key"):
                asked_by_clients(api.url, wrong)
        command = ("service.cli", "models", "--url", api.url)
        assert run(*command, API_KEY=key).returncode == 0
        ended = run(*command)
        assert ended.returncode == 1
        assert "Missing or invalid key" in ended.stderr


def asked_by_clients(url: str, api_key: str | None) -> list[list[ModelSummary]]:
    """Return the answers that the blocking and the async client get."""

    async def ask() -> ModelList:
        async with AsyncClient(url, api_key=api_key) as client:
            return await client.models()

    with Client(url, api_key=api_key) as client:
        return [client.models().items, asyncio.run(ask()).items]
