"""Each process reports invalid settings in one line, before it does anything else."""

import os
import subprocess
import sys

import pytest

from service.infra.settings.environment import SettingsError, read_settings
from service.infra.settings.shared import SharedSettings
from service.infra.settings.telemetry import TraceSettings


def end(module: str, **environment: str) -> str:
    """Returns the only line of a process that does not start."""
    command = [sys.executable, "-m", module]
    env = {**os.environ, **environment}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    [line] = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (1, "")
    return line


def test_every_invalid_variable_is_named_with_the_accepted_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHAPSHOT_LEASE_S", "1")
    monkeypatch.setenv("SHAPSHOT_LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as refused:
        read_settings(SharedSettings)
    level, lease = str(refused.value).split(" · ")
    assert level.startswith("SHAPSHOT_LOG_LEVEL: ")
    assert "'WARNING'" in level
    assert level.endswith("received 'loud'")
    assert lease == "SHAPSHOT_LEASE_S: Input should be greater than or equal to 2; received '1'"


def test_the_variables_of_traces_are_read_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "perhaps")
    with pytest.raises(SettingsError, match=r"^OTEL_SDK_DISABLED: .*; received 'perhaps'$"):
        read_settings(TraceSettings)


@pytest.mark.parametrize("module", ["service.api", "worker.main"])
def test_a_process_with_invalid_settings_exits_and_says_why(module: str) -> None:
    line = end(module, SHAPSHOT_LOG_LEVEL="debug")
    assert line.startswith("shapshot: SHAPSHOT_LOG_LEVEL: ")


@pytest.mark.parametrize("module", ["service.api", "worker.main"])
@pytest.mark.parametrize("url", ["file:/dev/null/store", "s3://", "ftp://store"])
def test_a_process_without_a_store_exits_and_says_why(module: str, url: str) -> None:
    line = end(module, SHAPSHOT_STORE_URL=url)
    assert "cannot" in line or line.startswith("shapshot: ")
    assert url.removeprefix("file:") in line


@pytest.mark.parametrize("url", ["http://:secret@redis", "redis://:secret@redis:port"])
def test_a_wrong_address_of_redis_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SHAPSHOT_REDIS_URL", url)
    with pytest.raises(SettingsError, match=r"^SHAPSHOT_REDIS_URL: ") as refused:
        read_settings(SharedSettings)
    assert "secret" not in str(refused.value)
