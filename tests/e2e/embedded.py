"""The embedded set as a user starts it: one process, real Redis, real worker, small models."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.client import Client
from service.embedded.redis_server import RedisNotFoundError, find_server
from tests.conftest import skip_or_raise, wait_until
from tests.e2e.models import small_models


@dataclass
class Running:
    """`shapshot up`, serving."""

    url: str
    client: Client
    folder: Path
    process: subprocess.Popen[str]
    said: str  # what it printed until it served

    def wait_for_evaluations(self, explanation_id: str, count: int) -> None:
        """Until it has made so many."""
        wait_until(
            lambda: self.client.get(explanation_id).progress.evaluations >= count, seconds=60
        )

    def stop(self) -> tuple[int, list[psutil.Process]]:
        """Press Ctrl-C: the exit code, and children that are still there."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        return code, [child for child in children if child.is_running()]


def _start(folder: Path, models: dict[str, str]) -> Running:
    command = [sys.executable, "-m", "service.cli", "up", "--port", "0", "--data", str(folder)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "COLUMNS": "200",
            "SHAPSHOT_LEASE_S": "4",
            **models,
        },
    )
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if found := re.search(r"Serving on (\S+)", line):
            compute = {"Cache-Control": "no-cache"}  # what is tested here is not remembered
            client = Client(found.group(1), timeout=60, headers=compute)
            return Running(found.group(1), client, folder, process, said)
    raise AssertionError(f"it ended with {process.wait()}:\n{said}")


@contextmanager
def embedded_set(*, small: bool = True, swapped: bool = False) -> Iterator[Running]:
    """Starts it in a folder of its own; Ctrl-C at the end leaves nothing behind.

    small: without the large one of the bundled models.
    """
    try:
        find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)
    with tempfile.TemporaryDirectory(prefix="shapshot-e2e-") as folder:
        models = {}
        if small:
            models["SHAPSHOT_MODELS"] = str(small_models(Path(folder), swapped=swapped))
        running = _start(Path(folder), models)
        with running.process, running.client:
            yield running
            assert running.stop() == (0, [])
