"""An API and a worker as an orchestrator starts them: two processes, configured by variables."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import wait_until
from tests.e2e.models import small_models

PATIENCE_S = 240  # limit of the start: TensorFlow's import and the models, on a busy machine


class Deployed:
    """The two processes and their logs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"http://127.0.0.1:{environment['SHAPSHOT_PORT']}"

    def start(self, name: str, module: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module], env=self._environment, stdout=log, stderr=log
            )

    def ready(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, self.text(name)
        try:
            return httpx.get(f"{self.url}/healthz/ready", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Stop both as an orchestrator does; all log lines and spans are written then."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            process.wait(timeout=60)

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def text(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the log of `api` or `worker`; fails if a line is not JSON."""
        return [json.loads(line) for line in self.text(name).splitlines()]


@contextmanager
def deployed(folder: Path, redis_url: str, **environment: str) -> Iterator[Deployed]:
    """Start both, and wait until they are ready to explain."""
    given = {
        "SHAPSHOT_REDIS_URL": redis_url,
        "SHAPSHOT_STORE_URL": f"file:{folder}/store",
        "SHAPSHOT_PORT": str(free_port()),
        "SHAPSHOT_LEASE_S": "4",
        "SHAPSHOT_MODELS": str(small_models(folder)),
        **environment,
    }
    both = Deployed(folder, given)
    try:
        both.start("worker", "worker.main")
        both.start("api", "service.api")
        wait_until(both.ready, seconds=PATIENCE_S)
        yield both
    finally:
        both.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
