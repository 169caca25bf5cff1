"""Redis and the API as processes on loopback, with workers that sleep."""

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from service.embedded.redis_server import find_server, server_command
from service.infra.artifact_store import open_store
from service.infra.logging import configure_logging
from service.infra.settings.api import ApiSettings
from service.infra.settings.worker import WorkerSettings
from service.jobs.redis_connections import connect
from service.jobs.rq_adapter import Job
from service.jobs.rq_job import EXPLAIN
from service.jobs.worker_registry import announce
from service.schemas.documents import Status
from tests.ledger import Ledger
from tests.tiny import card
from worker.housekeeping import Housekeeping
from worker.rq_worker import ModelWorker
from worker.task import FinishedTask, Task, TaskResult


@dataclass(frozen=True)
class LoadSet:
    """The measured set: its settings, its Redis, and the address of its API."""

    settings: ApiSettings
    redis: redis.Redis
    ledger: Ledger
    port: int
    api: int  # the id of its process


@contextmanager
def load_set(*, cores: set[int] | None) -> Iterator[LoadSet]:
    """Start both, the API on these cores; announce one model that no worker serves."""
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:
        address, port = Path(folder) / "redis.sock", _free_port()
        settings = ApiSettings(
            redis_url=f"unix://{address}",
            store_url=f"file:{folder}/store",
            port=port,
            max_queued=100_000,
        )
        command = server_command(find_server(), folder=Path(folder, "redis"), socket=address)
        with process(command), connect(settings.redis_url) as connection:
            _wait_for(address.exists)
            announce(connection, "nobody", [card(input_shape=(32, 32, 3))], lease_s=86400)
            command = [sys.executable, "-m", "service.api"]
            with process(command, environment(settings), cores) as api:
                _wait_for(lambda: _listens(port))
                ledger = Ledger.of(connection, settings)
                yield LoadSet(settings, connection, ledger, port, api)


@contextmanager
def workers(count: int, settings: ApiSettings, *, nap_s: float) -> Iterator[None]:
    """Fork processes of the real worker, but for the model, so that their start is cheap."""
    context = multiprocessing.get_context("fork")
    names = [f"sleeper-{number}" for number in range(count)]
    processes = [context.Process(target=_serve, args=(name, settings, nap_s)) for name in names]
    for process in processes:
        process.start()
    yield
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _serve(name: str, of_api: ApiSettings, nap_s: float) -> None:
    settings = WorkerSettings(redis_url=of_api.redis_url, store_url=of_api.store_url)
    configure_logging(level="ERROR", as_json=True)
    connection = connect(settings.redis_url)
    ledger, store = Ledger.of(connection, settings), open_store(settings.store_url)
    housekeeping = Housekeeping(name, connection, ledger, store, settings, list)
    housekeeping.start()
    Job.functions[EXPLAIN] = partial(_nap, nap_s)
    ModelWorker(name, connection, ledger, settings, housekeeping.identity).work(
        logging_level="ERROR"
    )
    housekeeping.stop()


def _nap(seconds: float, tasks: Sequence[Task]) -> Iterator[FinishedTask]:
    for task in tasks:
        time.sleep(seconds)
        yield task, TaskResult(Status.SUCCEEDED)


def environment(settings: ApiSettings) -> dict[str, str]:
    """Return the environment variables for these settings."""
    given = settings.model_dump(exclude_defaults=True, mode="json") | {"log_level": "ERROR"}
    return {**os.environ, **{f"SHAPSHOT_{name.upper()}": str(v) for name, v in given.items()}}


@contextmanager
def process(
    command: Sequence[str], variables: dict[str, str] | None = None, cores: set[int] | None = None
) -> Iterator[int]:
    """Run a process on these cores; yield its id."""
    started = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    if cores:
        os.sched_setaffinity(started.pid, cores)
    try:
        yield started.pid
    finally:
        started.terminate()
        started.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("Redis or the API did not start within 60 s")
        time.sleep(0.05)
