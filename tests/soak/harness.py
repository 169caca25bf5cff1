"""The harness of the soak: Redis as we ship it, workers that write a history, wrong clocks."""

from collections.abc import Callable
from dataclasses import dataclass, field

from service.api import server
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import ServiceHarness, end
from tests.conftest import wait_until
from tests.docker.guarded import Guarded
from tests.soak import workers
from tests.soak.history import HistoryFile
from tests.soak.shifted import start_shifted
from tests.soak.stores import Bucket

WORKERS = ("worker-1", "worker-2", "worker-3")


@dataclass
class SoakHarness(ServiceHarness):
    """Runs each process with its Redis user of the set that we ship."""

    redis: Guarded
    history_file: HistoryFile = field(kw_only=True)
    api_main: Callable[[], None] = field(default=server.main, kw_only=True)
    worker_main: Callable[..., None] = field(default=workers.main, kw_only=True)
    bucket: Bucket | None = field(default=None, kw_only=True)  # None: the store is a folder

    def start_api(self, *, shift_s: int = 0) -> Forked:
        self._begin("api", "api", self.api_main, "service.api", shift_s=shift_s)
        wait_until(lambda: self.status("/healthz/live") == 200, seconds=60)
        return self.processes["api"]

    def start_worker(self, name: str = WORKERS[0], *, shift_s: int = 0) -> Forked:  # type: ignore[override]
        words = (name, self.step_s, self.history_file.pipe)
        return self._begin(
            name, "worker", self.worker_main, "tests.soak.workers", *words, shift_s=shift_s
        )

    def _begin(
        self,
        name: str,
        user: str,
        main: Callable[..., None],
        module: str,
        *words: object,
        shift_s: int,
    ) -> Forked:
        """Start a process, with its clock ahead if requested."""
        environment = self.environment | {"SHAPSHOT_REDIS_URL": self.redis.url_of(user)}
        environment |= self.bucket.environment if self.bucket else {}
        log = self.log(name)
        if shift_s:
            process = start_shifted(
                module, *words, shift_s=shift_s, environment=environment, log=log
            )
        else:
            process = Forked(main, *words, environment=environment, log=log)
        self.processes[name] = process
        return process

    def close(self) -> None:
        super().close()
        if self.bucket:
            end(self.bucket.process)

    def heal(self) -> None:
        """Restart processes that have ended, as a supervisor does."""
        if not self.living("api"):
            self.start_api()
        for name in WORKERS:
            if not self.living(name):
                self.start_worker(name)
