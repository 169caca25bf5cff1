"""Specs of jobs, outcomes and Redis keys for tests of jobs."""

from collections.abc import Callable

import pytest
import redis

from service.jobs.records import JobSpec
from service.jobs.redis_keys import new_id
from service.schemas.results import Outcome
from tests.ledger import Ledger
from tests.tiny import OUTCOME

QUEUE = "test"


@pytest.fixture
def outcome() -> Outcome:
    return OUTCOME


@pytest.fixture
def accepted(ledger: Ledger, spec: JobSpec) -> Callable[[], str]:
    """Accepts an explanation; returns its id."""

    def accept() -> str:
        explanation_id = new_id()
        ledger.accept(explanation_id, spec, timeout_s=60)
        return explanation_id

    return accept


@pytest.fixture
def silence(connection: redis.Redis) -> Callable[[str, str], None]:
    """Ends the lease of an attempt, as if its worker had been silent for long."""

    def end_lease(explanation_id: str, attempt: str) -> None:
        connection.zadd(f"rq:wip:{QUEUE}", {f"{explanation_id}:{attempt}": 1})

    return end_lease


@pytest.fixture
def waiting(connection: redis.Redis) -> Callable[[], list[str]]:
    """Returns the ids in the queue, the next one first."""

    def read() -> list[str]:
        return [member.decode() for member in connection.lrange(f"rq:queue:{QUEUE}", 0, -1)]

    return read
