"""Orders, outcomes and Redis keys for tests of the contract."""

from collections.abc import Callable

import pytest
import redis

from service.contract.ledger import Ledger
from service.contract.names import new_id
from service.contract.records import Order
from service.contract.schema import (
    Crop,
    Outcome,
    Runtime,
    Timings,
)

QUEUE = "test"


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        partial=False,
        solution_concept="Owen values",
        evaluations=100,
        players=7200,
        outputs=[],
        efficiency_gap=0.0,
        metrics=[],
        crop=Crop(left=0, top=0, right=60, bottom=40),
        runtime=Runtime(backend="none", device="cpu", dtype="float32", versions={}),
        timings=Timings(queued_s=0, prepare_s=0, engine_s=0, masking_s=0, model_s=0, store_s=0),
    )


@pytest.fixture
def accepted(ledger: Ledger, order: Order) -> Callable[[], str]:
    """Accepts an explanation; its id."""

    def accept() -> str:
        explanation_id = new_id()
        ledger.accept(explanation_id, order, timeout_s=60)
        return explanation_id

    return accept


@pytest.fixture
def waiting(connection: redis.Redis) -> Callable[[], list[str]]:
    """The ids in the queue, the next one first."""

    def read() -> list[str]:
        return [member.decode() for member in connection.lrange(f"rq:queue:{QUEUE}", 0, -1)]

    return read
