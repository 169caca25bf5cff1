"""Launches the embedded set: Redis, one worker and the API as children of one process."""

import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TypeVar

import httpx
import redis

from service.embedded.redis_data import UnreadableDataError, choose_folder, record_writer
from service.embedded.redis_server import find_servers, server_command
from service.embedded.supervisor import Child, Supervisor
from service.evidence.keys import SigningKey
from service.infra.artifact_store import StoreError, open_store
from service.infra.file_lock import locked
from service.infra.listen_address import check_listen_address
from service.jobs.redis_connections import connect
from service.jobs.store_identity import StoreMatch, adopt_store, compare_store

REDIS_START_TIMEOUT_S = 15
API_START_TIMEOUT_S = 60
WORKER_START_TIMEOUT_S = 300  # imports TensorFlow and loads models, on a slow disk
ADOPT = "if the data is lost for good, accept that once with `shapshot up --adopt`"

Say = Callable[[str], None]
Found = TypeVar("Found")


class CannotStartError(Exception):
    """The set cannot start; the message says why and what to do."""


class Stopped(BaseException):
    """SIGTERM was received: stop as on Ctrl-C."""


@dataclass(frozen=True)
class DataDir:
    """The data folder of a set; one set at a time uses it."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def signing_key(self) -> Path:
        return self.folder / "signing-key.pem"

    @property
    def store(self) -> Path:
        return self.folder / "store"


@dataclass(frozen=True)
class ListenAddress:
    """The API's address, and its keys file."""

    host: str
    port: int  # 0: any free port
    keys_file: Path | None

    @property
    def environment(self) -> dict[str, str]:
        listens = {"SHAPSHOT_HOST": self.host, "SHAPSHOT_PORT": str(self.port)}
        return listens | ({"SHAPSHOT_KEYS_FILE": str(self.keys_file)} if self.keys_file else {})


@contextmanager
def local_set(
    folder: Path, address: ListenAddress, say: Say, *, adopts: bool = False
) -> Iterator[tuple[str, Supervisor]]:
    """Start all three; yield the API's URL and the supervisor; stop all at the end.

    adopts: accept Redis and the store as one set, even if one has lost its data.

    Raises CannotStartError, InsecureBindError, RedisNotFoundError.
    """
    check_listen_address(address.host, address.keys_file)
    if find_spec("tensorflow") is None:
        raise CannotStartError(
            "the worker is not installed: pip install 'shapshot[service,worker,imagenet]'"
        )
    data_dir = DataDir(folder.resolve())

    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` makes it ignored
    with _locked(data_dir), _short_folder() as sockets:
        address = replace(address, port=_free_port(address.host, address.port))
        supervisor = Supervisor()
        try:
            url = _start(data_dir, sockets / "redis.sock", address, supervisor, say, adopts=adopts)
            yield url, supervisor
        finally:
            supervisor.stop()


def keep_running(supervisor: Supervisor, say: Say) -> None:
    """Restart children that exit, until interrupted."""
    while True:
        for name in supervisor.watch():
            say(f"{name} exited unexpectedly; restarting it")
        time.sleep(0.2)


def _start(
    data_dir: DataDir,
    redis_socket: Path,
    address: ListenAddress,
    supervisor: Supervisor,
    say: Say,
    *,
    adopts: bool,
) -> str:
    redis_url = f"unix://{redis_socket}"
    try:
        choice = choose_folder(find_servers(), data_dir.folder)
    except UnreadableDataError as error:
        raise CannotStartError(str(error)) from error
    say(f"{choice.server}: starting ({choice.server.binary}) with the data in {choice.folder}")
    for data in choice.unused:
        moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(data.written_at))
        say(f"Not used: {data.folder}, last written on {moment} by {data}")
    command = server_command(choice.server.binary, folder=choice.folder, socket=redis_socket)
    supervisor.start(_child(data_dir, "redis", command, os.environ))
    url = f"http://{address.host}:{address.port}"
    environment = {
        **os.environ,
        **address.environment,
        "SHAPSHOT_REDIS_URL": redis_url,
        "SHAPSHOT_STORE_URL": f"file:{data_dir.store}",
        "SHAPSHOT_LOG_JSON": "false",
    }
    if "SHAPSHOT_SIGNING_KEY_FILE" not in environment:
        with suppress(FileExistsError):
            SigningKey.create(data_dir.signing_key)
        environment["SHAPSHOT_SIGNING_KEY_FILE"] = str(data_dir.signing_key)
    wait_for(
        "redis",
        lambda: redis_socket.exists() and bool(connect(redis_url).ping()),
        supervisor,
        REDIS_START_TIMEOUT_S,
    )
    record_writer(choice)
    _check_match(data_dir, choice.folder, redis_url, say, adopts=adopts)
    say("Worker: importing TensorFlow and loading the models")
    supervisor.start(_python(data_dir, "worker", "worker.main", environment))
    supervisor.start(_python(data_dir, "api", "service.api", environment))
    live, ready = f"{url}/healthz/live", f"{url}/healthz/ready"
    wait_for("api", lambda: get_success(live), supervisor, API_START_TIMEOUT_S)
    say(f"API: listening on {url}")
    answer = wait_for("worker", lambda: get_success(ready), supervisor, WORKER_START_TIMEOUT_S)
    say(f"Worker: ready with {', '.join(answer.json()['models'])}")
    return url


def _check_match(
    data_dir: DataDir, redis_folder: Path, redis_url: str, say: Say, *, adopts: bool
) -> None:
    """Check that Redis and the store match, or adopt them. Raises CannotStartError."""
    try:
        store = open_store(f"file:{data_dir.store}")
        with connect(redis_url) as connection:
            match = compare_store(connection, store)
            if match is StoreMatch.SAME:
                return
            if not adopts:
                where = f"Redis's data is in {redis_folder}, the store is {data_dir.store}"
                raise CannotStartError(f"{match.problem}. {where}; {ADOPT}")
            adopt_store(connection, store)
            say("Redis and the store, as they are, are now accepted as one set")
    except (redis.RedisError, StoreError) as error:
        raise CannotStartError(f"Redis and the store cannot be compared: {error}") from error


def _child(
    data_dir: DataDir, name: str, command: list[str], environment: Mapping[str, str]
) -> Child:
    data_dir.logs.mkdir(parents=True, exist_ok=True)
    return Child(name, command, environment, data_dir.logs / f"{name}.log")


def _python(data_dir: DataDir, name: str, module: str, environment: Mapping[str, str]) -> Child:
    return _child(data_dir, name, [sys.executable, "-m", module], environment)


def wait_for(
    name: str, ready: Callable[[], Found], supervisor: Supervisor, patience_s: float
) -> Found:
    """Wait until `ready` returns something true, and return it; an error of Redis or HTTP is not.

    Raises CannotStartError if a child exits first, or on a timeout.
    """
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(redis.RedisError, httpx.HTTPError):
            if found := ready():
                return found
        for child in supervisor.children:
            if not child.alive:
                raise CannotStartError(
                    f"{child.name} exited while starting. The end of {child.log}:\n"
                    f"{child.last_lines()}"
                )
        if time.monotonic() > deadline:
            raise CannotStartError(f"{name} was not ready after {patience_s:.0f} s")
        time.sleep(0.1)


def get_success(url: str) -> httpx.Response:
    """Get a URL on this machine, without a proxy. Raises httpx.HTTPError unless it is a 2xx."""
    return httpx.get(url, timeout=5, trust_env=False).raise_for_status()


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises CannotStartError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStartError(
                f"port {port} on {host} cannot be used ({error.strerror}); "
                f"choose another: make run PORT={port + 1 if port < 65535 else 8000}"
            ) from error
        return int(probe.getsockname()[1])


@contextmanager
def _locked(data_dir: DataDir) -> Iterator[None]:
    """Lock the folder for one set at a time. Raises CannotStartError."""
    with ExitStack() as held:
        try:
            data_dir.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            held.enter_context(locked(data_dir.folder / "lock", wait=False))
        except BlockingIOError as error:
            raise CannotStartError(
                f"another Shapshot runs in {data_dir.folder}; stop it first"
            ) from error
        except OSError as error:
            raise CannotStartError(
                f"{data_dir.folder} cannot be written: {error.strerror}"
            ) from error
        yield


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Create a private folder with a short path, for the socket."""
    folder = Path(tempfile.gettempdir()) / f"shapshot-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
