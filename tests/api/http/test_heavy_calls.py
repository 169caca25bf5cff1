"""Calls that hold whole pictures or arrays: their limit of bytes, and the order of waiting."""

import threading

import anyio
import pytest

from service.api.http import heavy_calls
from service.api.http.heavy_calls import HeavyCalls
from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode


class Calls:
    """Calls that hold bytes until they are released, and the bytes held at the start of each."""

    def __init__(self, most: int) -> None:
        self.subject = HeavyCalls(most)
        self.begun: list[int] = []
        self.held: list[int] = []
        self._holding = 0
        self._go = {size: threading.Event() for size in (30, 40, 60, 500)}

    async def call(self, size: int) -> None:
        def work() -> None:
            self._holding += size
            self.begun.append(size)
            self.held.append(self._holding)
            assert self._go[size].wait(timeout=60)
            self._holding -= size

        await self.subject.run(work, held=size)

    def end(self, size: int) -> None:
        self._go[size].set()


async def some_time() -> None:
    """Waits long enough for a call to begin if it were allowed to."""
    await anyio.sleep(0.05)


async def test_calls_wait_for_bytes_in_order_of_arrival():
    calls = Calls(most=100)
    async with anyio.create_task_group() as tasks:
        for size in (60, 60, 30, 40):  # 30 would fit beside the first, but does not overtake
            tasks.start_soon(calls.call, size)
            await some_time()
        assert calls.begun == [60]
        for size in (60, 30, 40):
            calls.end(size)
    assert calls.begun == [60, 60, 30, 40]
    assert max(calls.held) <= 100


async def test_a_call_that_needs_more_than_the_budget_runs_alone():
    calls = Calls(most=100)
    async with anyio.create_task_group() as tasks:
        for size in (40, 500, 30):
            tasks.start_soon(calls.call, size)
            await some_time()
        assert calls.begun == [40]
        calls.end(40)
        while calls.begun != [40, 500]:
            await some_time()
        calls.end(500)
        calls.end(30)
    assert calls.held == [40, 500, 30]


@pytest.mark.parametrize("count", [1, heavy_calls.MAX_CONCURRENT_CALLS])
async def test_a_call_that_waits_too_long_for_bytes_or_a_thread_gets_retry_after(
    monkeypatch, count
):
    monkeypatch.setattr(heavy_calls, "MAX_WAIT_S", 0.2)
    calls = Calls(most=100 * count)
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(calls.call, 60)
            await some_time()
        with pytest.raises(ApiError) as refused:
            await calls.call(60)
        calls.end(60)
    assert refused.value.code is ErrorCode.BUSY
    assert refused.value.headers
    await calls.call(60)  # now there is room


async def test_a_failed_call_releases_its_bytes():
    subject = HeavyCalls(100)

    def fail() -> None:
        raise ValueError

    for _ in range(heavy_calls.MAX_CONCURRENT_CALLS + 1):
        with pytest.raises(ValueError):
            await subject.run(fail, held=100)
