"""The compose files, checked without an engine, and the Redis of one of them."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from service.embedded.redis_server import NO_REDIS, RedisNotFoundError
from tests.conftest import skip_or_raise, wait_until
from tests.docker.dockerfiles import inherited, read_stages, values
from tests.docker.manifests import ROOT, read

DOCKER = ROOT / "docker"
[COMPOSE] = read(DOCKER / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PASSWORD = "0123456789abcdef.A_Z~-"  # noqa: S105 - every kind of character that is allowed

StartRedis = Callable[[str], tuple["subprocess.Popen[bytes]", str]]


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Runs the container's command with passwords in its own folder; returns its socket too."""
    if not shutil.which("redis-server"):
        skip_or_raise(RedisNotFoundError(NO_REDIS))
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:

        def start(api: str, worker: str = PASSWORD[::-1]) -> tuple["subprocess.Popen[bytes]", str]:
            process = subprocess.Popen(
                ["sh", "-euc", redis_script(Path(folder))],
                env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": api, "WORKER_PASSWORD": worker},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            started.append(process)
            return process, f"{folder}/redis.sock"

        yield start
        for process in started:
            process.kill()
            process.communicate()


def redis_script(folder: Path) -> str:
    """Returns the shell script that Compose runs, with a folder for its mounts and a socket."""
    [*shell, script] = SERVICES["redis"]["command"]
    assert shell == ["sh", "-euc"]
    return (
        script.replace("${SHAPSHOT_REDIS_MAXMEMORY:-700mb}", "700mb")
        .replace("$$", "$")
        .replace("--dir /data", f"--dir {folder} --port 0 --unixsocket {folder}/redis.sock")
        .replace("/etc/shapshot/users.acl", str(DOCKER / "redis" / "users.acl"))
        .replace("/tmp/users.acl", f"{folder}/users.acl")  # noqa: S108 - the container's
    )


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as connection:
        try:
            return bool(connection.ping())
        except redis.ConnectionError as error:
            if isinstance(error, redis.AuthenticationError):
                raise
            return False


def test_there_are_a_redis_an_api_and_a_worker() -> None:
    started = [name for name, service in SERVICES.items() if "profiles" not in service]
    assert started == ["redis", "api", "worker"]


def test_only_the_commands_for_keys_may_write_them_and_they_reach_nothing() -> None:
    folder = "/var/lib/shapshot/keys"
    mounted = {
        name: [volume for volume in service["volumes"] if volume.startswith("keys:")]
        for name, service in SERVICES.items()
    }
    assert {name: volumes for name, volumes in mounted.items() if volumes} == {
        "api": [f"keys:{folder}:ro"],
        "keys": [f"keys:{folder}"],
        "signing-key": [f"keys:{folder}"],
    }
    for name in ("keys", "signing-key"):
        assert SERVICES[name]["network_mode"] == "none"
        assert SERVICES[name]["entrypoint"] == ["python", "-m", "service.cli", name]
    image = inherited("service.Dockerfile", "")
    assert f"SHAPSHOT_KEYS_FILE={folder}/keys.jsonl" in " ".join(values(image, "ENV")).split()
    assert re.search(rf"install -d -o shapshot .*{folder}$", " ".join(values(image, "RUN")))


@pytest.mark.parametrize("user", ["api", "worker"])
def test_compose_refuses_to_start_without_a_password(user: str) -> None:
    name = f"SHAPSHOT_REDIS_{user.upper()}_PASSWORD"
    url = SERVICES[user]["environment"]["SHAPSHOT_REDIS_URL"]
    assert url == f"redis://{user}:${{{name}}}@redis:6379/0"
    given = SERVICES["redis"]["environment"].values()
    assert [value for value in given if value.startswith(f"${{{name}:?")]
    assert f"{name}=" in (DOCKER / ".env.example").read_text().splitlines()


@pytest.mark.parametrize(("user", "other"), [("api", "WORKER"), ("worker", "API")])
def test_neither_gets_the_password_of_the_other(user: str, other: str) -> None:
    """The file docker/.env has both passwords, and is passed to both as a whole."""
    environment = SERVICES[user]["environment"]
    assert environment[f"SHAPSHOT_REDIS_{other}_PASSWORD"] == ""
    assert f"SHAPSHOT_REDIS_{other}_PASSWORD" not in str(list(environment.values()))


def test_only_the_api_is_published_and_on_this_host_alone() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]
    assert SERVICES["api"]["ports"] == ["${SHAPSHOT_PUBLISH:-127.0.0.1:8000}:8000"]
    modes = {
        name: each["network_mode"] for name, each in SERVICES.items() if "network_mode" in each
    }
    assert modes == {"keys": "none", "signing-key": "none"}


def test_redis_is_reached_from_inside_only() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["data"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_gain_rights_or_change_its_image(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not set(service) & {"cap_add", "privileged"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_log_grows_for_ever(name: str) -> None:
    assert SERVICES[name]["logging"]["driver"] == "local"


@pytest.mark.parametrize("name", ["api", "worker"])
def test_no_other_container_takes_the_memory_of_redis(name: str) -> None:
    assert re.fullmatch(rf"\${{SHAPSHOT_{name.upper()}_MEMORY:-\d+g}}", SERVICES[name]["mem_limit"])


def test_there_may_be_many_workers() -> None:
    assert not set(SERVICES["worker"]) & {"container_name", "hostname", "ports"}


@pytest.mark.parametrize("name", ["api", "worker"])
def test_they_wait_for_redis_and_share_the_store(name: str) -> None:
    service = SERVICES[name]
    assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert "store:/var/lib/shapshot/store" in service["volumes"]
    assert service["environment"]["SHAPSHOT_STORE_URL"] == "file:/var/lib/shapshot/store"


def test_its_redis_needs_a_password_keeps_its_data_and_evicts_nothing(
    start_redis: StartRedis,
) -> None:
    process, path = start_redis(PASSWORD)
    wait_until(lambda: answers(f"unix://api:{PASSWORD}@{path}"), seconds=20)
    assert answers(f"unix://worker:{PASSWORD[::-1]}@{path}")
    for stranger in ("", f"worker:{PASSWORD}@", f"default:{PASSWORD}@", "default:@", "api:@"):
        with pytest.raises(redis.AuthenticationError):
            answers(f"unix://{stranger}{path}")
    words = Path(f"/proc/{process.pid}/cmdline").read_text()
    assert PASSWORD not in words
    command = SERVICES["redis"]["command"][-1]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "--maxmemory ${SHAPSHOT_REDIS_MAXMEMORY:-700mb}" in command


@pytest.mark.parametrize("password", ["pass@word", "pass/word", "pass word", "100%", "a#b"])
def test_its_redis_refuses_a_password_that_a_url_would_garble(
    start_redis: StartRedis, password: str
) -> None:
    process, _ = start_redis(password)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"passwords may hold letters, digits and . _ ~ - only" in complaint


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.models.yaml"])
def test_a_compose_file_names_only_services_and_targets_that_exist(name: str) -> None:
    [file] = read(DOCKER / name)
    assert set(file["services"]) <= set(SERVICES)
    targets = {each["build"].get("target") for each in file["services"].values() if "build" in each}
    assert targets <= {None, *read_stages("worker.Dockerfile")}
