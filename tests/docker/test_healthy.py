"""The health checks of the images, against a real Redis."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import redis

from service.api.auth.keys import Scope
from service.infra.artifact_store import open_store
from service.infra.settings.api import ApiSettings
from service.infra.settings.worker import WorkerSettings
from service.jobs.worker_registry import announce, deregister
from service.schemas.models import ModelCard, ModelStatus
from tests.api.auth.keyholders import issue
from tests.conftest import wait_until
from tests.ledger import Ledger
from tests.live import live_api
from worker.housekeeping import Housekeeping

DOCKER = Path(__file__).parents[2] / "docker"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCKER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def healthy(settings: ApiSettings) -> Callable[[str], bool]:
    """Returns whether the worker of a host is healthy."""
    check = load("healthy_worker").is_healthy
    return lambda host: check(settings, host=host)


def test_a_worker_is_healthy_while_it_holds_its_lease(
    connection: redis.Redis, new_card: Callable[..., ModelCard], healthy: Callable[[str], bool]
) -> None:
    assert not healthy("box1")
    announce(connection, "box1-7-abc", [new_card()], lease_s=30)
    assert healthy("box1")
    deregister(connection, "box1-7-abc")
    assert not healthy("box1")


def test_a_silent_worker_is_not_healthy(
    connection: redis.Redis, new_card: Callable[..., ModelCard], healthy: Callable[[str], bool]
) -> None:
    announce(connection, "box1-7-abc", [new_card()], lease_s=30)
    connection.zadd("shapshot:workers", {"box1-7-abc": time.time() - 1})
    assert not healthy("box1")


def test_a_worker_answers_for_its_own_container_only(
    connection: redis.Redis, new_card: Callable[..., ModelCard], healthy: Callable[[str], bool]
) -> None:
    announce(connection, "box12-7-abc", [new_card()], lease_s=30)
    assert not healthy("box1")


def test_a_worker_without_a_loaded_model_is_not_healthy(
    connection: redis.Redis, new_card: Callable[..., ModelCard], healthy: Callable[[str], bool]
) -> None:
    loading = new_card(status=ModelStatus.LOADING)
    announce(connection, "box1-7-abc", [loading], lease_s=30)
    assert not healthy("box1")
    announce(connection, "box1-7-abc", [loading, new_card(name="other")], lease_s=30)
    assert healthy("box1")


def test_no_redis_is_not_healthy(tmp_path: Path) -> None:
    settings = WorkerSettings(redis_url=f"unix://{tmp_path}/none.sock")
    assert not load("healthy_worker").is_healthy(settings, host="box1")


def test_no_api_is_not_healthy() -> None:
    assert not load("healthy_api").is_healthy(port=1)


def test_an_api_is_healthy_under_any_configured_host_and_root_path(
    settings: ApiSettings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.jsonl"
    issue(keys, "clinic", Scope.EXPLAIN)
    named = {"KEYS_FILE": keys, "ALLOWED_HOSTS": "shapshot.example", "ROOT_PATH": "/explain"}
    with live_api(settings, tmp_path, **named) as api:
        environment = {**os.environ, "SHAPSHOT_PORT": str(api.port)}
        check = [sys.executable, DOCKER / "healthy_api.py"]
        wait_until(lambda: subprocess.run(check, env=environment).returncode == 0, seconds=60)


def test_a_worker_is_alive_while_its_housekeeping_runs_even_without_redis(tmp_path: Path) -> None:
    alive_file, alive = tmp_path / "alive", load("healthy_worker").is_alive
    settings = WorkerSettings(
        redis_url=f"unix://{tmp_path}/none.sock", alive_file=alive_file, lease_s=2
    )
    connection = redis.Redis.from_url(settings.redis_url)
    ledger, store = Ledger.of(connection, settings), open_store("memory:")
    assert not alive(settings)
    housekeeping = Housekeeping("box1", connection, ledger, store, settings, lambda: [])
    housekeeping.start()
    wait_until(lambda: alive(settings), seconds=20)
    os.utime(alive_file, (0, 0))
    wait_until(lambda: alive(settings), seconds=20)  # it is touched regularly
    housekeeping.stop()
    for strange in (time.monotonic() - 3, time.monotonic() + 99, time.time()):
        os.utime(alive_file, (strange, strange))
        assert not alive(settings)
