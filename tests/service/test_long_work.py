"""What takes long is done beside the event loop: others' turns come meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.service.conftest import arrays_of

URL = "/v1/explanations"
OUTPUTS = 8000  # whose documents take a hundred milliseconds to read and to write
SHAPE = (100, 100, 3, 10)


def named(outputs: int) -> dict[int, str]:
    return {index: str(index) for index in range(outputs)}


class Turns:
    """How often others had their turn."""

    count = 0


@asynccontextmanager
async def counted() -> AsyncIterator[Turns]:
    turns = Turns()

    async def take() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(take())
    yield turns
    task.cancel()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_arrays_are_written_and_packed_beside_the_loop(served, create, hand, encoding):
    id_ = await create()
    arrays = arrays_of(*SHAPE)
    hand.succeed(id_, arrays=arrays, explained=named(SHAPE[3]))
    headers = {"Accept": "application/json", "Accept-Encoding": encoding}
    async with counted() as turns:
        answer = await served.get(f"{URL}/{id_}/attributions", headers=headers)
    assert turns.count > 1000
    assert answer.headers.get("content-encoding", "identity") == encoding
    np.testing.assert_array_equal(np.float32(answer.json()["values"]), arrays["values"])


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/events"])
async def test_documents_of_many_outputs_are_read_and_written_beside_the_loop(
    served, create, hand, path
):
    id_ = await create()
    hand.succeed(id_, arrays=arrays_of(1, 1, 1, OUTPUTS), explained=named(OUTPUTS))
    async with counted() as turns:
        answer = await served.get(URL + path.format(id=id_))
    assert turns.count > 1000
    assert answer.text.count('"base_value"') == OUTPUTS
