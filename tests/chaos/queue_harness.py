"""A queue on its own Redis server, and its workers; tests kill, freeze and restart both."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.records import JobSpec, State
from service.jobs.redis_connections import connect
from service.jobs.redis_keys import new_batch_id, new_id
from service.schemas.documents import ErrorCode, ImageInfo
from service.schemas.fingerprint import ModelRef
from service.schemas.requests import Outputs, Pixels, ResolvedSettings
from tests.chaos import sleeping_worker
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import LEASE_S, end
from tests.conftest import RedisServer, wait_until
from tests.ledger import Ledger

# A fixture that starts before the first test of its file, so that the leases and deadlines of
# several tests pass side by side, each in its own harness.
beforehand = pytest.fixture(scope="module", autouse=True)


class QueueHarness:
    """The queue, its workers in order of start, and its jobs in order of submission."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder = folder
        self.redis = server
        self.connection = connect(self.redis.url)
        self.ledger = Ledger(self.connection, queue="chaos", lease_s=LEASE_S, retention_s=3600)
        self.workers: list[Forked] = []
        self.jobs: list[str] = []

    def worker(self, **settings: object) -> Forked:
        name = f"worker-{len(self.workers)}"
        given = {
            "REDIS_URL": self.redis.url,
            "STORE_URL": f"file:{self.folder}/store",
            "QUEUE": "chaos",
            "LEASE_S": LEASE_S,
            **settings,
        }
        environment = {f"SHAPSHOT_{key}": str(value) for key, value in given.items()}
        log = self.folder / f"{name}.log"
        process = Forked(sleeping_worker.main, name, self.notes, environment=environment, log=log)
        self.workers.append(process)
        return process

    def submit(self, *, steps: int, step_s: float = 0.05) -> str:
        explanation_id = new_id()
        spec = self.spec(steps, step_s)
        self.ledger.accept(explanation_id, spec, timeout_s=60)
        self.jobs.append(explanation_id)
        return explanation_id

    def submit_batch(self, *steps: int, step_s: float = 0.05) -> list[str]:
        """Submit explanations of these numbers of steps as a batch; return their ids."""
        batch_id = new_batch_id()
        specs = {new_id(): self.spec(each, step_s, batch_id) for each in steps}
        self.ledger.accept_batch(batch_id, specs, timeout_s=60)
        self.jobs += specs
        return list(specs)

    def spec(self, steps: int, step_s: float, batch_id: str | None = None) -> JobSpec:
        return JobSpec(
            settings=ResolvedSettings(
                model="none",
                fit="stretch",
                superpixels=Pixels(kind="pixels"),
                outputs=Outputs(top=1),
                max_evals=500,
                metadata={"steps": steps, "step_s": step_s},
            ),
            model=ModelRef(name="none", fingerprint=None, parts=None),
            image=ImageInfo(sha256="0", bytes=1, format="PNG", width=1, height=1),
            batch=batch_id,
        )

    def state(self, explanation_id: str) -> State:
        state = self.ledger.read(explanation_id)
        assert state
        return state

    def wait(self, explanation_id: str, status: str, seconds: float = 20) -> State:
        wait_until(lambda: self.state(explanation_id).status == status, seconds=seconds)
        return self.state(explanation_id)

    def wait_failed(self, explanation_id: str) -> ErrorCode:
        """Wait until it has failed; return the error's code."""
        error = self.wait(explanation_id, "failed").error
        assert error
        return error.code

    def wait_begun(self, *jobs: str, times: int = 1) -> None:
        """Wait until each job has begun this many times."""
        wait_until(lambda: all(self.starts(job) == times for job in jobs), seconds=20)

    def starts(self, explanation_id: str) -> int:
        """Count how often a worker really began it."""
        return self.notes.read_text().count(explanation_id) if self.notes.exists() else 0

    def lease_end(self) -> float:
        """Return the time at which the only lease ends, unless it is renewed."""
        [(_, at)] = self.connection.zrange("rq:wip:chaos", 0, -1, withscores=True)
        return float(at)

    def announced(self, worker: str) -> float:
        """Return the time of a worker's last announcement, the first of its chores."""
        return float(self.connection.zscore("shapshot:workers", worker)) - LEASE_S

    def queued(self) -> list[str]:
        """Return the waiting jobs, the next one first."""
        return [id_.decode() for id_ in self.connection.lrange("rq:queue:chaos", 0, -1)]

    def left(self, *jobs: str) -> list[str]:
        """Return the keys, of the queue and of these jobs, that could make a worker begin one."""
        lists = ("rq:queue:chaos", "rq:queue:chaos:intermediate", "rq:wip:chaos")
        keys = (*lists, *(f"rq:job:{job}" for job in jobs))
        return [key for key in keys if self.connection.exists(key)]

    def logged(self, worker: int, line: bytes) -> int:
        """Count how often a worker logged this line."""
        return (self.folder / f"worker-{worker}.log").read_bytes().count(line)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def close(self) -> None:
        for process in self.workers:
            end(process)
        self.connection.close()


NewQueueHarness = Callable[[], QueueHarness]
