"""A Redis that can be killed and come back, and worker processes that can be hurt."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.contract.ledger import Ledger, Order, State, new_id
from service.contract.queue import connect
from service.contract.schema import ImageInfo, ModelRef, Outputs, ResolvedSettings
from service.redis_server import NoRedis, find_server, server_command, server_version

LEASE_S = 2
STAND_IN = Path(__file__).parent / "stand_in.py"


class MortalRedis:
    """A redis-server of this test, with its data on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        binary = find_server()
        version = server_version(binary)
        command = server_command(binary, version=version, data=self._folder, socket=self._socket)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, 10)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


class Scene:
    """A queue with its Redis and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis = MortalRedis(folder)
        self.connection = connect(self.redis.url)
        self.ledger = Ledger(self.connection, queue="chaos", lease_s=LEASE_S, retention_s=3600)
        self.workers: list[subprocess.Popen[bytes]] = []

    def worker(self, **settings: object) -> subprocess.Popen[bytes]:
        name = f"worker-{len(self.workers)}"
        given = {
            "REDIS_URL": self.redis.url,
            "STORE_URL": f"file:{self.folder}/store",
            "QUEUE": "chaos",
            "LEASE_S": LEASE_S,
            **settings,
        }
        environment = {f"SHAPSHOT_{key}": str(value) for key, value in given.items()}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, STAND_IN, name, self.notes],
                env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
                stdout=log,
                stderr=log,
            )
        self.workers.append(process)
        return process

    def submit(self, *, steps: int, step_s: float = 0.05) -> str:
        explanation_id = new_id()
        order = Order(
            settings=ResolvedSettings(
                model="none", outputs=Outputs(top=1), metadata={"steps": steps, "step_s": step_s}
            ),
            model=ModelRef(name="none", digest=None),
            image=ImageInfo(sha256="0", bytes=1, format="PNG", width=1, height=1),
        )
        self.ledger.accept(explanation_id, order, timeout_s=60, longest=1000)
        return explanation_id

    def state(self, explanation_id: str) -> State:
        state = self.ledger.read(explanation_id)
        assert state
        return state

    def wait(self, explanation_id: str, status: str, seconds: float = 20) -> State:
        until(lambda: self.state(explanation_id).status == status, seconds)
        return self.state(explanation_id)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def starts(self, explanation_id: str) -> int:
        """How often a worker really began it."""
        return self.notes.read_text().count(explanation_id) if self.notes.exists() else 0

    def close(self) -> None:
        for process in self.workers:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.connection.close()
        self.redis.kill()


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition; how long it may take is a bound on hanging, not a measurement."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def scene() -> Iterator[Scene]:
    try:
        find_server()
    except NoRedis as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:
        found = Scene(Path(folder))
        yield found
        found.close()
