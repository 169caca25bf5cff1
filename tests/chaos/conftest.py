"""A Redis that can be killed and come back, and worker processes that can be hurt."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contract.ledger import Ledger
from service.contract.names import new_batch_id, new_id
from service.contract.queue import connect
from service.contract.records import Order, State
from service.contract.request import Outputs, Pixels, ResolvedSettings
from service.contract.schema import ImageInfo, ModelRef
from tests.chaos import stand_in
from tests.chaos.nursery import Forked
from tests.chaos.stage import LEASE_S, Stage
from tests.conftest import RedisServer, started, wait_until


class Scene:
    """A queue with its Redis and its workers."""

    def __init__(self, folder: Path, mortal_redis: RedisServer) -> None:
        self.folder = folder
        self.redis = mortal_redis
        self.connection = connect(self.redis.url)
        self.ledger = Ledger(self.connection, queue="chaos", lease_s=LEASE_S, retention_s=3600)
        self.workers: list[Forked] = []

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
        process = Forked(stand_in.main, name, self.notes, environment=environment, log=log)
        self.workers.append(process)
        return process

    def submit(self, *, steps: int, step_s: float = 0.05) -> str:
        explanation_id = new_id()
        order = self.order(steps, step_s)
        self.ledger.accept(explanation_id, order, timeout_s=60)
        return explanation_id

    def submit_batch(self, *steps: int, step_s: float = 0.05) -> list[str]:
        """Explanations of so many steps, asked for together; their ids."""
        batch_id = new_batch_id()
        orders = {new_id(): self.order(each, step_s, batch_id) for each in steps}
        self.ledger.accept_batch(batch_id, orders, timeout_s=60)
        return list(orders)

    def order(self, steps: int, step_s: float, batch_id: str | None = None) -> Order:
        return Order(
            settings=ResolvedSettings(
                model="none",
                superpixels=Pixels(kind="pixels"),
                outputs=Outputs(top=1),
                max_evals=500,
                metadata={"steps": steps, "step_s": step_s},
            ),
            model=ModelRef(name="none", digest=None),
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

    def lease_end(self) -> float:
        """When the one lease there is ends, unless it is renewed."""
        [(_, at)] = self.connection.zrange("rq:wip:chaos", 0, -1, withscores=True)
        return float(at)

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


@pytest.fixture
def scene(mortal_redis: RedisServer, tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path, mortal_redis)
    yield found
    found.close()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    yield from started(remembers=True)


@pytest.fixture(scope="session")
def stage(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found = Stage(tmp_path_factory.mktemp("stage"), shared_redis)
    yield found
    found.close()


@pytest.fixture
def api(stage: Stage) -> Forked:
    """The API, started again where the test before killed it."""
    return stage.living("api") or stage.start_api()


@pytest.fixture
def worker(stage: Stage, api: Forked) -> Iterator[Forked]:
    """The one worker of the API, of this test alone."""
    process = stage.start_worker()
    stage.wait_ready()
    yield process
    stage.dismiss("worker")
