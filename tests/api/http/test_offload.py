"""Slow work runs outside the event loop, which serves others meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import get_ident

import numpy as np
import pytest

from service.api.state import serializers
from tests.api.conftest import arrays_of

URL = "/v1/explanations"
SHAPE = (100, 100, 3, 10)


def named(outputs: int) -> dict[int, str]:
    return {index: str(index) for index in range(outputs)}


class Turns:
    """Counts the turns of another task on the event loop."""

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
async def test_arrays_are_serialized_and_compressed_outside_the_event_loop(
    served, create, fake_worker, encoding
):
    id_ = await create()
    arrays = arrays_of(*SHAPE)
    fake_worker.succeed(id_, arrays=arrays, explained=named(SHAPE[3]))
    headers = {"Accept": "application/json", "Accept-Encoding": encoding}
    async with counted() as turns:
        answer = await served.get(f"{URL}/{id_}/attributions", headers=headers)
    assert turns.count > 1000
    assert answer.headers.get("content-encoding", "identity") == encoding
    np.testing.assert_array_equal(np.float32(answer.json()["values"]), arrays["values"])


@pytest.mark.parametrize(("outputs", "beside"), [(4, False), (8000, True)])
@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/events"])
async def test_documents_with_many_outputs_are_serialized_outside_the_event_loop(
    served, create, fake_worker, monkeypatch, path, outputs, beside
):
    writers = []  # threads

    def noted(state, root_path):
        writers.append(get_ident())
        return document_of(state, root_path)

    document_of = serializers.explanation
    id_ = await create()
    fake_worker.succeed(id_, arrays=arrays_of(1, 1, 1, outputs), explained=named(outputs))
    monkeypatch.setattr(serializers, "explanation", noted)
    answer = await served.get(URL + path.format(id=id_))
    assert answer.text.count('"base_value"') == outputs
    assert [writer != get_ident() for writer in writers] == [beside]
