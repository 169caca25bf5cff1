"""Scenes of a queue and its workers, and a stage with all of a service."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.chaos.forkserver import Forked
from tests.chaos.queue_harness import NewScene, Scene
from tests.chaos.service_harness import Stage
from tests.conftest import RedisServer, started


@pytest.fixture
def scene(mortal_redis: RedisServer, tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path, mortal_redis)
    yield found
    found.close()


@pytest.fixture(scope="module")
def new_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewScene]:
    """Makes scenes that stay until the last test of the file."""
    with ExitStack() as stay:

        def make() -> Scene:
            server = stay.enter_context(contextmanager(started)(remembers=True))
            found = Scene(tmp_path_factory.mktemp("scene"), server)
            stay.callback(found.close)
            return found

        yield make


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
