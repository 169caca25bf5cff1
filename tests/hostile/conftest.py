"""The API as a process of its own, before a real Redis, with a model at its service."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest
import redis

from service.contract.presence import announce
from service.contract.schema import ModelCard
from tests.conftest import wait_until

MAX_UPLOAD_BYTES = 12_000_000


@dataclass
class Answer:
    """What came back over a connection."""

    status: int
    media_type: str
    content: bytes


@dataclass
class Api:
    """A process that serves."""

    port: int
    process: psutil.Process
    folder: Path
    log: Path

    def connect(self, *, timeout_s: float = 60) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def send(self, content: bytes) -> Answer:
        """Send it all, as far as it is taken, and read the answer."""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused on the way
                connection.sendall(content)
            return read_answer(connection)

    def kept(self) -> list[Path]:
        """Files in the store."""
        return [path for path in (self.folder / "store").rglob("*") if path.is_file()]

    @property
    def resident_mb(self) -> float:
        return float(self.process.memory_info().rss / 1e6)


def read_answer(connection: socket.socket) -> Answer:
    with HTTPResponse(connection) as response:
        response.begin()
        media_type = response.headers.get_content_type()
        return Answer(response.status, media_type, response.read())


Serve = Callable[..., Api]


@pytest.fixture
def serve(
    redis_url: str, connection: redis.Redis, new_card: Callable[..., ModelCard]
) -> Iterator[Serve]:
    """Start the API with these settings and wait until it answers."""
    announce(connection, "hand", [new_card()], lease_s=3600)
    with ExitStack() as stack:

        def start(**settings: object) -> Api:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shapshot-")))
            return _start(stack, folder, {"redis_url": redis_url, **settings})

        yield start


def _start(stack: ExitStack, folder: Path, settings: dict[str, object]) -> Api:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {"port": port, "store_url": f"file:{folder}/store", "queue": "test"} | settings
    given |= {"max_upload_bytes": MAX_UPLOAD_BYTES}
    environment = {f"SHAPSHOT_{name.upper()}": str(value) for name, value in given.items()}
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.api"],
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
        )
    stack.callback(process.wait)
    stack.callback(process.kill)
    api = Api(port, psutil.Process(process.pid), folder, log)
    wait_until(lambda: _answers(api), seconds=60)
    return api


def _answers(api: Api) -> bool:
    try:
        with api.connect():
            return True
    except ConnectionRefusedError:
        time.sleep(0.05)
        return False
