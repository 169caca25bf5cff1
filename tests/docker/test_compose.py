"""What must hold of the compose files, read as text, and of the Redis that one of them starts."""

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.redis_server import NO_REDIS, NoRedis
from tests.conftest import skip_or_raise, wait_until

DOCKER = Path(__file__).parents[2] / "docker"
PASSWORD = "0123456789abcdef.A_Z~-"  # noqa: S105 - every kind of character that is allowed

StartRedis = Callable[[str], tuple["subprocess.Popen[bytes]", str]]


def blocks(text: str, indent: int) -> dict[str, str]:
    """What stands at and below each key of an indentation."""
    parts = re.split(rf"^ {{{indent}}}([^\s#:]+):", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture
def compose() -> str:
    return (DOCKER / "compose.yaml").read_text()


@pytest.fixture
def services(compose: str) -> dict[str, str]:
    return blocks(blocks(compose, 0)["services"], 2)


@pytest.fixture
def start_redis(services: dict[str, str]) -> Iterator[StartRedis]:
    """Runs the container's command with passwords, in a folder of its own; gives its socket too."""
    if not shutil.which("redis-server"):
        skip_or_raise(NoRedis(NO_REDIS))
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:

        def start(api: str, worker: str = PASSWORD[::-1]) -> tuple["subprocess.Popen[bytes]", str]:
            process = subprocess.Popen(
                ["sh", "-euc", redis_script(services["redis"], Path(folder))],
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


def redis_script(service: str, folder: Path) -> str:
    """What Compose hands to the container's shell, with a folder for its mounts and a socket."""
    script = textwrap.dedent(blocks(service, 4)["command"].split("- |\n")[1]).replace("$$", "$")
    return (
        script.replace("--dir /data", f"--dir {folder} --port 0 --unixsocket {folder}/redis.sock")
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


def test_there_are_a_redis_an_api_and_a_worker(services: dict[str, str]) -> None:
    started = [name for name, text in services.items() if "profiles" not in blocks(text, 4)]
    assert started == ["redis", "api", "worker"]


def test_only_the_command_for_keys_may_write_them_and_it_reaches_nothing(
    services: dict[str, str],
) -> None:
    volumes = {name: blocks(text, 4).get("volumes", "") for name, text in services.items()}
    mounted = {name: re.findall(r"keys:(\S+)", text) for name, text in volumes.items()}
    folder = "/var/lib/shapshot/keys"
    assert mounted == {"redis": [], "api": [f"{folder}:ro"], "keys": [folder], "worker": []}
    keys = blocks(services["keys"], 4)
    assert keys["network_mode"].strip() == "none"
    assert keys["entrypoint"].strip() == "[python, -m, service.cli, keys]"
    dockerfile = (DOCKER / "service.Dockerfile").read_text()
    assert f"SHAPSHOT_KEYS_FILE={folder}/keys.jsonl" in dockerfile
    assert re.search(rf"install -d -o shapshot .*{folder}$", dockerfile, re.M)


@pytest.mark.parametrize("user", ["API", "WORKER"])
def test_compose_refuses_to_start_without_a_password(compose: str, user: str) -> None:
    name = f"SHAPSHOT_REDIS_{user}_PASSWORD"
    assert f"{user.lower()}:${{{name}}}@redis" in compose
    assert f"${{{name}:?" in blocks(blocks(compose, 0)["services"], 2)["redis"]
    example = (DOCKER / ".env.example").read_text()
    assert re.search(rf"^{name}=$", example, re.MULTILINE)


def test_neither_is_told_the_password_of_the_other(compose: str, services: dict[str, str]) -> None:
    shared = blocks(compose, 0)["x-settings"]
    for user in ("API", "WORKER"):
        assert f'SHAPSHOT_REDIS_{user}_PASSWORD: ""' in shared
        others = [text for name, text in services.items() if name not in ("redis", user.lower())]
        assert f"SHAPSHOT_REDIS_{user}_PASSWORD" not in "".join(others)


def test_only_the_api_is_published_and_on_this_host_alone(services: dict[str, str]) -> None:
    assert [name for name, text in services.items() if "ports" in blocks(text, 4)] == ["api"]
    assert "- ${SHAPSHOT_PUBLISH:-127.0.0.1:8000}:8000" in blocks(services["api"], 4)["ports"]
    assert "network_mode: host" not in "".join(services.values())


def test_redis_is_reached_from_inside_only(compose: str, services: dict[str, str]) -> None:
    assert "internal: true" in blocks(blocks(compose, 0)["networks"], 2)["data"]
    assert blocks(services["redis"], 4)["networks"].strip() == "[data]"


def test_no_container_can_gain_rights_or_change_its_image(
    compose: str, services: dict[str, str]
) -> None:
    hardened = blocks(compose, 0)["x-hardened"]
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert line in hardened
    for text in services.values():
        assert "<<: *hardened" in text
        assert not set(blocks(text, 4)) & {"read_only", "cap_add", "privileged", "security_opt"}


def test_no_log_grows_for_ever(compose: str) -> None:
    assert "driver: local" in blocks(blocks(compose, 0)["x-hardened"], 2)["logging"]


def test_workers_can_be_many(services: dict[str, str]) -> None:
    assert not set(blocks(services["worker"], 4)) & {"container_name", "hostname", "ports"}


@pytest.mark.parametrize("service", ["api", "worker"])
def test_they_wait_for_redis_and_share_the_store(services: dict[str, str], service: str) -> None:
    keys = blocks(services[service], 4)
    assert "condition: service_healthy" in keys["depends_on"]
    assert "- store:/var/lib/shapshot/store\n" in keys["volumes"]
    assert "<<: *settings" in keys["environment"]


def test_its_redis_wants_a_password_keeps_its_data_and_evicts_nothing(
    start_redis: StartRedis, services: dict[str, str]
) -> None:
    process, path = start_redis(PASSWORD)
    wait_until(lambda: answers(f"unix://api:{PASSWORD}@{path}"), seconds=20)
    assert answers(f"unix://worker:{PASSWORD[::-1]}@{path}")
    for stranger in ("", f"worker:{PASSWORD}@", f"default:{PASSWORD}@", "default:@", "api:@"):
        with pytest.raises(redis.AuthenticationError):
            answers(f"unix://{stranger}{path}")
    words = Path(f"/proc/{process.pid}/cmdline").read_text()
    assert PASSWORD not in words
    command = blocks(services["redis"], 4)["command"]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("password", ["pass@word", "pass/word", "pass word", "100%", "a#b"])
def test_its_redis_refuses_a_password_that_a_url_would_garble(
    start_redis: StartRedis, password: str
) -> None:
    process, _ = start_redis(password)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"passwords may hold letters, digits and . _ ~ - only" in complaint


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.models.yaml"])
def test_a_compose_file_names_only_services_and_targets_that_exist(
    services: dict[str, str], name: str
) -> None:
    text = (DOCKER / name).read_text()
    assert set(blocks(blocks(text, 0)["services"], 2)) <= set(services)
    stages = re.findall(r"^FROM .* AS (\w+)$", (DOCKER / "worker.Dockerfile").read_text(), re.M)
    assert set(re.findall(r"^ {6}target: (\w+)$", text, re.M)) <= set(stages)
