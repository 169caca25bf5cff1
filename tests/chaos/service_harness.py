"""Redis, the API and workers with a sleeping model, each a process, and a client."""

import json
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
import time_machine

from service.api import server
from service.jobs.redis_connections import connect
from service.schemas.documents import ErrorCode
from tests.chaos import sleeping_model
from tests.chaos.forkserver import Forked
from tests.conftest import RedisServer, wait_until
from tests.encoded import encoded, noise

LEASE_S = 2
URL = "/v1/explanations"
QUICK = {"max_evals": 8, "batch_size": 2, "masker": "mean", "outputs": {"top": 3}}
LONG = QUICK | {"max_evals": 4000}


def photo(seed: int = 0) -> bytes:
    return encoded(noise(200, 160, seed=seed))  # 96 KB


@dataclass
class ServiceHarness:
    """A whole service; tests kill, freeze and restart its processes."""

    folder: Path
    redis: RedisServer
    settings: Mapping[str, Any] = field(default_factory=dict)
    step_s: float = 0.05
    ahead_s: float = 0  # wall clock of its machine minus Redis's
    processes: dict[str, Forked] = field(default_factory=dict)  # by name

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = {
            "REDIS_URL": self.redis.url,
            "STORE_URL": f"file:{self.store}",
            "QUEUE": "chaos",
            "LEASE_S": LEASE_S,
            "PORT": port,
            "LOG_JSON": "false",
            **self.settings,
        }
        self.environment = {f"SHAPSHOT_{key}": str(value) for key, value in given.items()}
        anew = {"Cache-Control": "no-cache"}  # a cache hit would need no worker
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, headers=anew)
        self.connection: redis.Redis = connect(self.redis.url)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start_api(self) -> Forked:
        process = self._start("api", server.main)
        wait_until(lambda: self.status("/healthz/live") == 200, seconds=30)
        return process

    def start_worker(
        self, name: str = "worker", *, step_s: float | None = None, **settings: str
    ) -> Forked:
        return self._start(name, sleeping_model.main, name, step_s or self.step_s, **settings)

    def _start(
        self, name: str, main: Callable[..., None], *words: object, **settings: str
    ) -> Forked:
        environment = self.environment | {f"SHAPSHOT_{key}": settings[key] for key in settings}
        if self.ahead_s:
            main, words = on_other_time, (self.ahead_s, main, *words)
        process = Forked(main, *words, environment=environment, log=self.log(name))
        self.processes[name] = process
        return process

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert all(map(self.living, self.processes)), "a process has ended"
            return self.status("/healthz/ready") == 200

        wait_until(ready, seconds=30)

    def dismiss(self, name: str) -> None:
        """Stop the worker, and delete its log."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        self.log(name).unlink()

    def living(self, name: str) -> Forked | None:
        process = self.processes.get(name)
        return process if process and process.poll() is None else None

    def status(self, path: str) -> int | None:
        """Return the status of a response; None if there was no response."""
        try:
            return self.client.get(path).status_code
        except httpx.HTTPError:
            return None

    def ask(self, settings: Mapping[str, Any] = QUICK, **options: Any) -> httpx.Response:
        body = {"image": ("photo.png", photo()), "settings": (None, json.dumps(settings))}
        return self.client.post(URL, files=body, **options)

    def submit(self, settings: Mapping[str, Any] = QUICK) -> str:
        answer = self.ask(settings)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def document(self, explanation_id: str) -> dict[str, Any]:
        answer = self.client.get(f"{URL}/{explanation_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, explanation_id: str, *statuses: str) -> dict[str, Any]:
        def there() -> bool:
            return self.document(explanation_id)["status"] in statuses

        wait_until(there, seconds=40)
        return self.document(explanation_id)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def follow(self, explanation_id: str, heard: list[str]) -> None:
        """Collect the statuses in its event stream."""
        with self.client.stream("GET", f"{URL}/{explanation_id}/events", timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    heard.append(json.loads(line.removeprefix("data:"))["status"])

    def logged(self, name: str, line: bytes) -> int:
        """Count how often a process logged this line."""
        return self.log(name).read_bytes().count(line)

    def files(self) -> list[Path]:
        """Return the files of explanations in the store."""
        return [path for path in (self.store / "explanations").rglob("*") if path.is_file()]

    @contextmanager
    def without_store(self) -> Iterator[None]:
        """Replace the store's folder by a file, so that every access fails."""
        away = self.store.rename(self.folder / "away")
        self.store.write_text("no folder")
        try:
            yield
        finally:
            self.store.unlink()
            away.rename(self.store)

    def close(self) -> None:
        for process in self.processes.values():
            end(process)
        self.client.close()
        self.connection.close()


def on_other_time(ahead_s: float, main: Callable[..., None], *words: object) -> None:
    """Run a command with its wall clock shifted; its monotonic clock stays right."""
    time_machine.travel(time.time() + ahead_s, tick=True).start()
    main(*words)


def end(process: Forked) -> None:
    """Kill the process, even if it is frozen."""
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def fill_disk(process: Forked) -> None:
    """Limit the files of this process to 16 KB; larger writes fail as on a full disk."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2**14, resource.RLIM_INFINITY))


def free_disk(process: Forked) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)


def refusal(answer: httpx.Response, status: int, code: ErrorCode) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert status != 503 or int(answer.headers["retry-after"]) > 0


def in_background(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread
