"""Harnesses: of a queue and its workers, and of a whole service."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.chaos.forkserver import Forked
from tests.chaos.queue_harness import NewQueueHarness, QueueHarness
from tests.chaos.service_harness import ServiceHarness
from tests.conftest import RedisServer, started


@pytest.fixture
def queue_harness(mortal_redis: RedisServer, tmp_path: Path) -> Iterator[QueueHarness]:
    found = QueueHarness(tmp_path, mortal_redis)
    yield found
    found.close()


@pytest.fixture(scope="module")
def new_queue_harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewQueueHarness]:
    """Makes queue harnesses that live until the last test of the file."""
    with ExitStack() as stay:

        def make() -> QueueHarness:
            server = stay.enter_context(contextmanager(started)(remembers=True))
            found = QueueHarness(tmp_path_factory.mktemp("queue"), server)
            stay.callback(found.close)
            return found

        yield make


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    yield from started(remembers=True)


@pytest.fixture(scope="session")
def service_harness(
    shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceHarness]:
    found = ServiceHarness(tmp_path_factory.mktemp("service"), shared_redis)
    yield found
    found.close()


@pytest.fixture
def api(service_harness: ServiceHarness) -> Forked:
    """The API, started again if the previous test killed it."""
    return service_harness.living("api") or service_harness.start_api()


@pytest.fixture
def worker(service_harness: ServiceHarness, api: Forked) -> Iterator[Forked]:
    """The API's only worker, for this test alone."""
    process = service_harness.start_worker()
    service_harness.wait_ready()
    yield process
    service_harness.dismiss("worker")
